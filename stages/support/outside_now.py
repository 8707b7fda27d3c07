"""Compares what lies outside now with the fingerprints of the workspace and of experiments."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from fsslib.errors import FsslibError

from . import paths
from .external import run
from .outside import make_fingerprints
from .params import Params
from .params_file import stage_params
from .params_outside import FingerprintParams

STAGE = "fingerprint"
FOLDER = re.compile(
    rf"^    - path: {paths.FINGERPRINT.as_posix()}\n(?:      .*\n)*?      md5: (\S+)", re.MULTILINE
)
"""The output of the stage in dvc.lock."""


class OutsideNow:
    """Fingerprints as they are now, made once for each set of the params that they depend on.

    Where the stage is frozen or cannot run, since its files are on another machine, there is
    nothing to compare with, and everything counts as unchanged.

    Args:
        pipeline: the stages of dvc.yaml.
    """

    def __init__(self, pipeline: Mapping[str, Any]) -> None:
        self._frozen = bool(pipeline.get(STAGE, {}).get("frozen"))
        self._made: dict[str, dict[str, bytes] | None] = {}

    def _now(self, params: Params) -> dict[str, bytes] | None:
        """Name of each file -> its content, or None."""
        wanted = stage_params(FingerprintParams, params)
        key = wanted.model_dump_json()
        if key not in self._made:
            try:
                found = {} if self._frozen else make_fingerprints(wanted)
            except FsslibError:
                found = {}
            self._made[key] = {
                paths.fingerprint(n).name: t.encode("utf-8", "surrogateescape")
                for n, t in found.items()
            } or None
        return self._made[key]

    def changed(self, params: Params) -> set[str]:
        """Paths of the workspace's fingerprints that are missing or out of date."""
        files = {paths.FINGERPRINT / n: t for n, t in (self._now(params) or {}).items()}
        return {
            f.as_posix() for f, text in files.items() if not f.is_file() or f.read_bytes() != text
        }

    def same(self, commit: str, params: Params) -> bool:
        """Whether an experiment of these params was run with the files that lie outside now."""
        now = self._now(params)
        return now is None or _recorded(commit) == folder_hash(now)


def _recorded(commit: str) -> str:
    """DVC's hash of the fingerprints of a commit; empty if it has none."""
    try:
        found = FOLDER.search(run(["git", "show", f"{commit}:./dvc.lock"]))
    except FsslibError:
        return ""
    return found[1] if found else ""


def folder_hash(files: Mapping[str, bytes]) -> str:
    """DVC's hash of a folder of files without sub-folders, as dvc.lock records it."""
    # MD5 is DVC's choice and protects nothing here.
    entries = [
        {"md5": hashlib.md5(content, usedforsecurity=False).hexdigest(), "relpath": name}
        for name, content in sorted(files.items())
    ]
    text = json.dumps(entries, sort_keys=True).encode()
    return hashlib.md5(text, usedforsecurity=False).hexdigest() + ".dir"
