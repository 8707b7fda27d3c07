"""Describes one of our files in a few lines."""

import zipfile
from pathlib import Path
from typing import Any

import h5py

from fsslib.data.manifest import load_manifest
from fsslib.errors import FsslibError
from fsslib.evaluation.episode_files import episodes_hash, load_episodes
from fsslib.experiments.weights_info import describe_weights, short
from fsslib.files.storage import read_json, read_text, telling_damage

REMEDY = "name a whole file that a stage wrote"


def describe_file(path: Path) -> list[str]:
    """Describe weights, HDF5, masks, episodes or a manifest; the first line names the kind of file.

    Raises:
        FsslibError: the file is missing, damaged, or not one of ours.
    """
    if not path.is_file():
        raise FsslibError(f"{path} is not a file: {REMEDY}")
    if path.suffix == ".safetensors":
        return describe_weights(path, REMEDY)
    if path.suffix == ".json":
        return _json(path)
    if h5py.is_hdf5(path):
        return _hdf5(path)
    if zipfile.is_zipfile(path):
        return _masks(path)
    raise FsslibError(f"{path} is neither .safetensors, HDF5, zip nor .json: {REMEDY}")


def _hdf5(path: Path) -> list[str]:
    with telling_damage(path, REMEDY), h5py.File(path, "r") as file:
        complete = "complete" if file.attrs.get("complete", False) else "INCOMPLETE"
        kind = read_text(file, "kind") or "HDF5 of another program"
        lines = [f"{kind}: layout {file.attrs.get('version')}, {complete}"]
        others = sorted(set(file.attrs) - {"kind", "version", "complete"})
        lines += [f"{name}: {read_text(file, name)}" for name in others]
        for name, data in file.items():
            if isinstance(data, h5py.Dataset):
                lines.append(f"{name}: {tuple(data.shape)} {data.dtype}")
        return lines


def _masks(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise FsslibError(f"{path} is damaged ({error}): {REMEDY}") from None
    masks = [name.removesuffix(".png") for name in names if name.endswith(".png")]
    span = f", {masks[0]} to {masks[-1]}" if masks else ""
    return [f"masks: {len(masks)} PNGs{span}"]


def _json(path: Path) -> list[str]:
    raw = read_json(path, REMEDY)
    kind = raw.get("kind") if isinstance(raw, dict) else None
    if kind == "fsslib-episodes":
        return _episodes(path)
    if kind == "fsslib-manifest":
        return _manifest(path)
    if kind == "fsslib-model":
        return _published(raw)
    raise FsslibError(f"{path} is neither a manifest nor a file of episodes: {REMEDY}")


def _published(raw: dict[str, Any]) -> list[str]:
    """`config.json` of a published model; its results are on its card."""
    facts = {key: raw[key] for key in sorted(raw.keys() - {"kind", "params", "results", "files"})}
    files = raw.get("files")
    names = ", ".join(files) if isinstance(files, dict) else "no files"
    return [f"published model: {names}", *(f"{k}: {short(v)}" for k, v in facts.items())]


def _episodes(path: Path) -> list[str]:
    found = load_episodes(path)
    return [
        f"episodes: {len(found.episodes)} of fold {found.fold} of {found.dataset}",
        f"protocol: {found.protocol}, at least {found.min_pixels} px",
        f"shots: {short(list(found.shots))}, seeds: {short(list(found.seeds))}",
        f"ways: {found.ways}",
        f"novel classes: {short(list(found.novel))}",
        f"sha256: {episodes_hash(found)[:16]}",
    ]


def _manifest(path: Path) -> list[str]:
    found = load_manifest(path)
    folds = " | ".join(" ".join(found.classes[c] for c in fold) for fold in found.folds)
    return [
        f"manifest: {found.dataset}, {len(found.train)} train and {len(found.val)} val images",
        f"root: {found.root}",
        f"classes: {len(found.classes)} in {len(found.folds)} folds ({found.folds_rule})",
        f"novel classes by fold: {folds}",
    ]
