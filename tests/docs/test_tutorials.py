"""The tutorials, run as a reader would run them; each test's table says what is replaced."""

from tests.support.tutorials import SKIP, run_tutorial

INSTALLED = {"make setup": SKIP, "source .venv/bin/activate": SKIP}
"""The environment is there."""


def test_find_a_class(tmp_path):
    small = {"size=320": "size=96"}  # the same scenes, drawn smaller
    run_tutorial("find-a-class", tmp_path, INSTALLED, small)
    assert (tmp_path / "both/11.mask.png").is_file()
