"""Headers of tar files from elsewhere, with a limit on what they may take into memory."""

import tarfile
from typing import Any

MAX_HEADER_BYTES = 2**20
"""Of one extended header, which `tarfile` takes into memory whole."""


class BoundedTarInfo(tarfile.TarInfo):
    """Refuses extended headers that would fill the memory.

    It is for `tarfile.open(..., tarinfo=BoundedTarInfo)`, which then raises `tarfile.ReadError`.
    """

    @classmethod
    def frombuf(cls, buf: Any, encoding: Any, errors: Any) -> "BoundedTarInfo":  # noqa: ANN401
        """Read one header; see `tarfile.TarInfo.frombuf`."""
        info = super().frombuf(buf, encoding, errors)
        plain = (*tarfile.REGULAR_TYPES, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE)
        if info.type not in plain and info.size > MAX_HEADER_BYTES:
            raise tarfile.ReadError(f"header {info.name[:200]!r} claims {info.size} bytes")
        return info
