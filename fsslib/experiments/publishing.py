"""Makes a folder of a trained model that others can load, with a card that says what it is.

The folder is what the Hugging Face Hub shows: weights, `config.json` and `README.md`. The reader is
`fsslib.prediction.publication`.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from fsslib.encoders.base import parameter_count
from fsslib.encoders.build import feature_shape
from fsslib.errors import FsslibError
from fsslib.experiments.card import CardFacts, card_markdown
from fsslib.experiments.provenance import UNKNOWN, Provenance
from fsslib.files.fingerprints import hash_file
from fsslib.files.model_names import MODEL
from fsslib.files.storage import atomic_path, read_json, write_bytes, write_json
from fsslib.prediction.calibration_files import find_presence, presence_path, presence_settings
from fsslib.prediction.learned import encoder_digest
from fsslib.prediction.publication import (
    CARD,
    CONFIG,
    KIND,
    LAYOUT,
    PRESENCE,
    Publication,
    check_publication,
    read_publication,
)
from fsslib.rectification.rectify import Rectification
from fsslib.training.losses import LAST_BIAS
from fsslib.training.trained_model import TrainedModel, load_model
from fsslib.training.trained_on import KEY as TRAINED_ON
from fsslib.training.trained_on import TrainedOn

ELSEWHERE = "name another folder"


@dataclass(frozen=True)
class Wanted:
    """What the publisher chooses.

    Attributes:
        name: title of the card.
        licence: of the weights, None if none was chosen.
        repository: `USER/NAME` on the hub, None if it is not known yet.
        version: of fsslib.
    """

    name: str
    licence: str | None
    repository: str | None
    version: str


@dataclass(frozen=True)
class Published:
    """What was written.

    Attributes:
        files: names in the folder.
        kept_card: whether the card that somebody had edited was kept.
        local_names: paths of the publisher's machine that the model's own header holds.
        other_calibration: a calibration lies beside the model and is of another encoder.
    """

    files: tuple[str, ...]
    kept_card: bool
    local_names: tuple[str, ...]
    other_calibration: bool


def publish_model(
    model: Path, out: Path, wanted: Wanted, provenance: Provenance = UNKNOWN
) -> Published:
    """Write the folder; it appears whole, or stays as it was.

    Args:
        model: model of training, or its folder.
        out: new or empty folder, or one that this function made: that one is replaced, except for a
            card that somebody edited.
        wanted: what the publisher chooses.
        provenance: what is known of the training and of its results.

    Raises:
        FsslibError: no trained model, a damaged one, or `out` holds anything else.
    """
    out = out.resolve()
    file = model / MODEL if model.is_dir() else model
    _recover(out)
    former = _require_ours(out)
    trained = load_model(file, ema=True)
    calibration = _calibration(file, trained)
    about, local = without_local_paths(trained.about)
    with _whole_folder(out) as folder:
        sources = {MODEL: file}
        if calibration is not None:
            sources |= dict(zip(PRESENCE, _presence_files(file), strict=True))
        for name, source in sources.items():
            with atomic_path(folder / name) as temporary:
                shutil.copyfile(source, temporary)
        files = {name: _facts_of(folder / name) for name in sources}
        facts = CardFacts(
            wanted.name,
            wanted.licence,
            wanted.repository,
            about,
            TrainedOn.read(trained.about),
            _sub_clusters(trained),
            parameter_count(trained.encoder),
            feature_shape(trained.encoder.backbone),
            trained.background is not None,
            calibration,
            files,
            provenance,
        )
        card = card_markdown(facts).encode()
        edited = _edited_card(out, former, files[MODEL]["sha256"])
        digest = hashlib.sha256(card).hexdigest()
        if edited is not None and former is not None:
            card, digest = edited, former.card
        write_bytes(folder / CARD, card)
        write_json(folder / CONFIG, _config(facts, wanted.version, digest))
    return Published(
        (*files, CONFIG, CARD),
        edited is not None,
        local,
        calibration is None and presence_path(file).exists(),
    )


def _sub_clusters(trained: TrainedModel) -> int | None:
    """K, from the head that tells sub-clusters and background apart."""
    bias = trained.head.get(LAST_BIAS)
    return None if bias is None else bias.numel() - 1


def _require_ours(out: Path) -> Publication | None:
    """The earlier publication in a folder; None if there is nothing.

    Raises:
        FsslibError: anything else is there, which is not written over.
    """
    if out.exists() and not out.is_dir():
        raise FsslibError(f"{out} is a file: {ELSEWHERE}")
    there = {path.name for path in out.iterdir()} if out.is_dir() else set()
    if not there:
        return None
    if read_publication(out) is None:
        raise FsslibError(f"{out} is not empty and no earlier publication: {ELSEWHERE}")
    others = sorted(there - {MODEL, *PRESENCE, CARD, CONFIG})
    if others:
        raise FsslibError(f"{out} holds {others[0]}, which is no part of a model: {ELSEWHERE}")
    try:
        return check_publication(out)
    except FsslibError as error:
        told = str(error).rsplit(": ", 1)[0]
        raise FsslibError(f"{told}, so it is not written over: {ELSEWHERE}") from None


def _edited_card(out: Path, former: Publication | None, sha256: str) -> bytes | None:
    """The card, if somebody edited it; it is of the model of this hash."""
    path = out / CARD
    if former is None or not path.is_file():
        return None
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() == former.card:
        return None
    if former.model_sha256 != sha256:
        raise FsslibError(
            f"{path} was edited and is of another model: move it away, or {ELSEWHERE}"
        )
    return content


def _calibration(file: Path, trained: TrainedModel) -> dict[str, Any] | None:
    """The calibration beside a model, None if there is none or it is of another encoder."""
    path = presence_path(file)
    settings = presence_settings(Rectification())
    if find_presence(path, encoder_digest(trained.encoder), settings).typical is None:
        return None
    content: dict[str, Any] = read_json(path, "run 'fss calibrate' again")
    return content


def _presence_files(file: Path) -> tuple[Path, Path]:
    path = presence_path(file)
    return path, path.with_suffix(".safetensors")


def _facts_of(path: Path) -> dict[str, Any]:
    return {"sha256": hash_file(path), "bytes": path.stat().st_size}


def without_local_paths(about: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The params of a header with only the last part of absolute paths, and these paths."""
    found: list[str] = []

    def short(value: object) -> object:
        if isinstance(value, str) and PurePath(value).is_absolute():
            found.append(value)
            return f".../{PurePath(value).name}"
        return value

    known = dict(about)
    if isinstance(known.get("unlabeled"), list):
        known["unlabeled"] = [
            {**s, "source": short(s.get("source"))} if isinstance(s, dict) else short(s)
            for s in known["unlabeled"]
        ]
    if "weights" in known:
        known["weights"] = short(known["weights"])
    return known, tuple(found)


def _config(facts: CardFacts, version: str, card: str) -> dict[str, Any]:
    about, seen = facts.about, facts.seen
    training = about.get("training")
    measured = facts.provenance.measured
    return {
        "kind": KIND,
        "layout": LAYOUT,
        "fsslib": version,
        "backbone": str(about.get("backbone")),
        "channels": facts.shape[0],
        "feature_stride": facts.shape[1],
        "parameters": facts.parameters,
        "training_crop": training.get("crop") if isinstance(training, dict) else None,
        "long_side": about.get("long_side"),
        "sigma": about.get("sigma"),
        "global_background": facts.background,
        "rectification": None if measured is None else dict(measured.rectification),
        "fold": about.get("fold"),
        "dataset": None if seen is None else seen.dataset,
        "rendered": None if seen is None else seen.rendered,
        "training_images": None if seen is None else seen.images,
        "base_classes": None if seen is None else list(seen.classes),
        "novel_classes": None if measured is None else list(measured.novel),
        "params": {k: v for k, v in about.items() if k != TRAINED_ON},
        "results": None if measured is None else dict(measured.metrics),
        "licence": facts.licence,
        "files": facts.files,
        "card_sha256": card,
    }


def _beside(out: Path, suffix: str) -> Path:
    return out.with_name(f".{out.name}.{suffix}")


def _recover(out: Path) -> None:
    """Undo a replacement that was killed between its two renames, and remove its remains."""
    old = _beside(out, "old")
    if old.is_dir() and not out.exists():
        old.rename(out)
    for stray in (old, _beside(out, "part")):
        shutil.rmtree(stray, ignore_errors=True)


@contextmanager
def _whole_folder(out: Path) -> Iterator[Path]:
    """Yield a new folder beside `out`, and put it in its place when the block is done."""
    folder, old = _beside(out, "part"), _beside(out, "old")
    folder.mkdir(parents=True)
    try:
        yield folder
        if out.exists():
            out.rename(old)
        try:
            folder.rename(out)
        except OSError:
            with suppress(OSError):
                old.rename(out)
            raise
        _sync(out.parent)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if out.exists():
            shutil.rmtree(old, ignore_errors=True)


def _sync(folder: Path) -> None:
    """Make renames in a folder last; not every system can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
