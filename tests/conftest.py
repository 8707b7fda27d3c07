import pytest

from tests.helpers import make_dataset


@pytest.fixture(scope="session")
def discs(tmp_path_factory):
    """A small dataset on disk, made once; read it only."""
    return make_dataset(tmp_path_factory.mktemp("discs"))
