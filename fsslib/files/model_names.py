"""How a trained model is named: the file that holds it, and its address on the Hugging Face Hub.

This module imports no torch, so that commands that only look at a name start at once.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from fsslib.errors import FsslibError

MODEL = "model.safetensors"
"""The file that training writes, in its own folder as in a published one."""

SCHEME = "hf://"
_PART = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,95}"
_ADDRESS = re.compile(
    rf"hf:/{{1,2}}(?P<repository>{_PART}/{_PART})(?P<folder>(?:/{_PART}){{0,4}})"
    rf"(?:@(?P<revision>{_PART}(?:/{_PART}){{0,4}}))?(?:#sha256=(?P<sha256>[0-9a-f]{{64}}))?"
)
"""A `Path` turns two slashes into one, so one is read as well."""

FORM = "hf://USER/NAME, with @REVISION and #sha256=HASH where it shall be pinned"


@dataclass(frozen=True)
class Address:
    """Where a published model lies on the hub.

    Attributes:
        repository: `USER/NAME`.
        folder: within the repository, empty for its top.
        revision: commit, branch or tag; empty for the newest of the main branch.
        sha256: of `model.safetensors`, empty if any will do.
    """

    repository: str
    folder: str = ""
    revision: str = ""
    sha256: str = ""

    def __str__(self) -> str:
        """The address as it is written."""
        folder = f"/{self.folder}" if self.folder else ""
        revision = f"@{self.revision}" if self.revision else ""
        sha256 = f"#sha256={self.sha256}" if self.sha256 else ""
        return f"{SCHEME}{self.repository}{folder}{revision}{sha256}"


def is_hub_address(source: str | Path) -> bool:
    """Whether a value names a model on the hub."""
    return str(source).startswith("hf:/")


def parse_address(text: str | Path) -> Address:
    """Read `hf://USER/NAME[/FOLDER][@REVISION][#sha256=HASH]`.

    Raises:
        FsslibError: another form, or a name that is none, such as `..`.
    """
    found = _ADDRESS.fullmatch(str(text))
    if found is None or ".." in str(text):
        raise FsslibError(f"{str(text)!r:.120} is no address of a model: write {FORM}")
    parts = found.groupdict(default="")
    return Address(**{**parts, "folder": parts["folder"].lstrip("/")})
