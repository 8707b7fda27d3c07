"""Photographs below a folder, found by the names that annotations give them."""

import os
from collections import defaultdict
from pathlib import Path, PurePosixPath

from fsslib.data.images import photo_suffixes
from fsslib.data.manifest import check_id
from fsslib.errors import FsslibError


class Photographs:
    """All photographs below a folder, hidden files and folders left out."""

    def __init__(self, root: Path) -> None:
        """Walk the folder.

        Raises:
            FsslibError: it is no folder or holds no photograph.
        """
        if not root.is_dir():
            raise FsslibError(f"--images {root} is not a folder: check the path")
        self.root = root
        self.paths: dict[str, Path] = {}
        for folder, inner, names in os.walk(root):
            inner[:] = sorted(name for name in inner if not name.startswith("."))
            for name in sorted(names):
                path = Path(folder, name)
                if path.suffix.lower() in photo_suffixes() and not name.startswith("."):
                    self.paths[path.relative_to(root).as_posix()] = path
        if not self.paths:
            raise FsslibError(
                f"--images {root} holds no photograph ({' '.join(photo_suffixes())}): check it"
            )
        self._by_name: dict[str, list[str]] = defaultdict(list)
        self._by_stem: dict[str, list[str]] = defaultdict(list)
        for relative in self.paths:
            self._by_name[PurePosixPath(relative).name].append(relative)
            self._by_stem[PurePosixPath(relative).stem].append(relative)

    def find(self, name: str, by_stem: bool = False) -> Path | None:
        r"""The photograph that an annotation means, or None.

        The path below the folder is tried first, then the part of it that is there, then the bare
        name. An upload prefix such as Label Studio's is not guessed.

        Args:
            name: path with `/` or `\\`, or a bare name.
            by_stem: whether the suffix may differ.

        Raises:
            FsslibError: two photographs fit equally well.
        """
        parts = [p for p in name.replace("\\", "/").split("/") if p not in ("", ".", "..")]
        for start in range(len(parts)):
            found = self.paths.get("/".join(parts[start:]))
            whole = start == 0 or len(parts) - start > 1
            if found is not None and (whole or len(self._by_name[parts[-1]]) == 1):
                return found
        if not parts:
            return None
        last = PurePosixPath(parts[-1])
        fitting = self._by_name.get(last.name, [])
        if not fitting and by_stem:
            fitting = self._by_stem.get(last.stem, [])
        if len(fitting) > 1:
            closest = [f for f in fitting if f.endswith("/".join(parts[-2:]))]
            if len(closest) == 1:
                return self.paths[closest[0]]
            raise FsslibError(
                f"{name!r} fits {fitting[0]} and {fitting[1]} in {self.root}: rename one of them"
            )
        return self.paths[fitting[0]] if fitting else None

    def ids(self, images: list[Path]) -> list[str]:
        """An image id for each photograph: its stem, or its path with `_` where stems are equal.

        Raises:
            FsslibError: a name that is no plain id, or two photographs with one id.
        """
        stems: dict[str, int] = defaultdict(int)
        for image in images:
            stems[image.stem.lower()] += 1
        found: dict[str, Path] = {}
        ids = []
        for image in images:
            relative = PurePosixPath(image.relative_to(self.root).as_posix()).with_suffix("")
            alone = stems[image.stem.lower()] == 1
            image_id = check_id(image.stem if alone else "_".join(relative.parts))
            if image_id in found:
                raise FsslibError(
                    f"photographs {found[image_id]} and {image} both get the id {image_id!r}: "
                    "rename one of them"
                )
            found[image_id] = image
            ids.append(image_id)
        return ids
