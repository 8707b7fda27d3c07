import os

import pytest
from hypothesis import settings

from tests.support.helpers import make_dataset

# Deadlines measure how busy the machine is.
settings.register_profile("ci", max_examples=30, deadline=None, derandomize=True, database=None)
settings.register_profile("nightly", max_examples=3000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(scope="session")
def discs(tmp_path_factory):
    """A small dataset on disk, made once; read it only."""
    return make_dataset(tmp_path_factory.mktemp("discs"))


def pytest_collection_modifyitems(items):
    """Put files with slow tests first, so that no worker is left alone with one at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
