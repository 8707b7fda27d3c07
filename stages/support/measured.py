"""Finds out in dvc.lock whether the results in `results/` are of exactly this model."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from fsslib.errors import FsslibError
from fsslib.evaluation.summary import REFERENCES, require_metrics
from fsslib.experiments.provenance import Measured, Provenance
from fsslib.files.storage import read_json

from . import paths
from .outside_now import folder_hash

DVC_LOCK = Path("dvc.lock")

Stage = Mapping[str, Any]


def provenance_of(model: Path, about: Mapping[str, Any]) -> Provenance:
    """What the project in the working directory knows of a model file.

    DVC's record of a stage names the hashes of what it read and wrote. Only results that were
    computed from this very file count, and only if they are unchanged since.

    Args:
        model: `model.safetensors`, in any folder.
        about: of its header.
    """
    fold, lock = about.get("fold"), _lock()
    if not isinstance(fold, int) or isinstance(fold, bool) or not lock:
        return Provenance()
    digest = _md5(model)
    trained, evaluated = (lock.get(f"{name}@{fold}", {}) for name in ("train", "evaluate"))
    traced = digest in _hashes(trained, "outs")
    holdout = _holdout(lock, trained) if traced else None
    measured, why_not = _measured(fold, digest, evaluated, lock)
    return Provenance(measured, why_not, holdout, traced)


def _measured(
    fold: int, digest: str, evaluated: Stage, lock: Mapping[str, Stage]
) -> tuple[Measured | None, str]:
    """The results of a fold, or why there are none of this file."""
    path = paths.fold_results(fold) / "metrics.json"
    if not path.is_file() or not evaluated:
        return None, "the project that published it holds no results of this fold"
    if digest not in _hashes(evaluated, "deps"):
        return None, "the results of this fold were computed with another model"
    if _md5(path) not in _hashes(evaluated, "outs"):
        return None, "the results of this fold are not those that the run recorded"
    metrics = require_metrics(read_json(path, "run the stage 'evaluate'"), path)
    params = evaluated.get("params", {}).get("params.yaml", {})
    return Measured(metrics, params, _references(fold, metrics, lock)), ""


def _references(
    fold: int, metrics: Mapping[str, Any], lock: Mapping[str, Stage]
) -> Mapping[str, Any] | None:
    """Scores of the pretrained encoder and the baseline, where they can be compared."""
    folder = paths.reference(fold)
    if not (folder / "scores.json").is_file() or "refine" in metrics:
        return None
    files = {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}
    if folder_hash(files) not in _hashes(lock.get(f"reference@{fold}", {}), "outs"):
        return None
    found = read_json(folder / "scores.json", "run the stage 'reference'")
    same = found.get("episode_list") == metrics.get("episode_list")
    return found if same and all(name in found for name in REFERENCES) else None


def _holdout(lock: Mapping[str, Stage], trained: Stage) -> int | None:
    """The param of the `prepare` whose dataset the model was trained on."""
    prepared = lock.get("prepare", {})
    if not _hashes(prepared, "outs") & _hashes(trained, "deps"):
        return None
    value = prepared.get("params", {}).get("params.yaml", {}).get("holdout")
    return value if isinstance(value, int) else None


def _hashes(stage: Stage, what: str) -> set[str]:
    return {str(entry.get("md5")) for entry in stage.get(what, ())}


def _lock() -> Mapping[str, Stage]:
    """The stages that dvc.lock records; none outside of a project."""
    try:
        text = DVC_LOCK.read_text(encoding="utf-8")
        content = YAML(typ="safe", pure=True).load(text)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, YAMLError) as error:
        raise FsslibError(f"{DVC_LOCK} cannot be read ({error}): run 'dvc repro'") from None
    stages = content.get("stages") if isinstance(content, dict) else None
    return stages if isinstance(stages, dict) else {}


def _md5(path: Path) -> str:
    """DVC's hash of a file, which protects nothing here."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
