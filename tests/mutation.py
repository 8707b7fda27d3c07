"""Plain random mutation of the files that the readers read.

    python -m tests.mutation --files 100000 --seed 0

Each file is a whole one with a few bytes flipped, overwritten, cut out, doubled or zeroed, or cut
short. A reader may refuse it with one line, or return exactly what the whole file holds; anything
else is a fault: a traceback (`crash`), another content (`silent`), or no end within 20 s (`hang`).
Readers run in a process of their own, so that a crash of a C library is a fault, too.

The last line is one JSON object; the exit code is 1 when there is a fault.
"""

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fsslib.data.images import read_mask
from fsslib.data.manifest import load_manifest, save_manifest
from fsslib.datasets.description import Description, read_description, write_description
from fsslib.datasets.layout import read_list
from fsslib.errors import FsslibError
from fsslib.evaluation.episode_files import load_episodes, save_episodes
from fsslib.evaluation.episodes import draw_episode_set
from fsslib.files.storage import write_bytes
from fsslib.files.tensor_files import load_tensors, save_tensors
from fsslib.mining.clusters import Clusters, load_clusters, save_clusters
from fsslib.mining.extraction import FeatureStore, describe_image, write_shard
from fsslib.mining.prototypes import (
    FoldPrototypes,
    PrototypeTable,
    collect_prototypes,
    load_prototypes,
    save_prototypes,
)
from fsslib.mining.pseudo_masks import PseudoMasks, encode_png, write_masks
from fsslib.rectification.index_building import describe_regions, write_regions
from fsslib.rectification.index_reading import load_index
from tests.support.fakes import png_bytes
from tests.support.scenes import Scenes

SECONDS = 20
"""Without an answer a reader hangs."""
USERS = ("list", "mask", "description")
"""Formats that hold no checksum of ours: another content cannot be told from the meant one."""


@dataclass(frozen=True)
class Format:
    """A kind of file: its bytes when whole, its name, and how it is read."""

    whole: bytes
    name: str
    read: Callable[[Path], Any]


def plain(value: Any) -> Any:
    """Arrays and tensors as bytes, so that contents can be compared."""
    if isinstance(value, torch.Tensor):
        value = value.numpy()
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.shape, value.tobytes()
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if hasattr(value, "__dataclass_fields__"):
        return {name: plain(getattr(value, name)) for name in value.__dataclass_fields__}
    return value


def make_formats(folder: Path) -> dict[str, Format]:
    """One small whole file of each kind, written as the stages do."""
    rng = np.random.default_rng(0)
    scenes = Scenes([(1,), (1, 2), (2,), (1, 3)], sizes=((24, 32),))
    feature = torch.from_numpy(rng.normal(size=(5, 3, 4)).astype(np.float32))
    masks = scenes.masks
    formats = {}

    def add(kind: str, name: str, read: Callable[[Path], Any]) -> None:
        formats[kind] = Format((folder / name).read_bytes(), name, read)

    write_bytes(folder / "list.txt", b"".join(f"{i}\n".encode() for i in masks))
    add("list", "list.txt", read_list)
    write_bytes(folder / "mask.png", png_bytes(masks["val_001"]))
    add("mask", "mask.png", read_mask)
    write_description(folder, Description("folder", {1: "a", 2: "b"}, ((1,), (2,)), "listed"))
    add("description", "dataset.json", lambda path: read_description(path.parent))
    manifest = scenes.manifest
    save_manifest(manifest, folder / "manifest.json", "photos")
    add("manifest", "manifest.json", load_manifest)
    episodes = draw_episode_set(manifest, 0, [0], 5, [1], 1, 10, "paper", None)
    save_episodes(episodes, folder / "episodes.json")
    add("episodes", "episodes.json", load_episodes)
    shard = [describe_image(i, feature, mask, "int8") for i, mask in masks.items()]
    write_shard(folder / "00001.h5", shard, "int8")
    add("features", "00001.h5", lambda path: _features(path.parent))
    table = PrototypeTable(np.array(["a", "b"]), np.array([0, 1]), feature[:2, :, 0].numpy().copy(),
                           np.array([3, 4], np.float32))  # fmt: skip
    save_prototypes(table, folder / "prototypes.h5")
    add("prototypes", "prototypes.h5", load_prototypes)
    of_fold = FoldPrototypes(table.sums, table.class_id, table.image_id, table.sums)
    clusters = Clusters(table.sums, np.array([1, 1]), 1.5, 0.5)
    save_clusters(clusters, of_fold, folder / "clusters.h5")
    add("clusters", "clusters.h5", load_clusters)
    rows = [describe_regions(i, feature, np.minimum(m, 2), "label", 0.01) for i, m in masks.items()]
    write_regions(folder / "00002.h5", rows)
    add("index", "00002.h5", lambda path: load_index(path.parent))
    write_masks(folder / "00003.zip", [(i, encode_png(np.minimum(m, 2))) for i, m in masks.items()])
    add("pseudo-masks", "00003.zip", lambda path: _pseudo(path.parent))
    tensors = {"a": feature, "b": torch.arange(6)}
    save_tensors(folder / "model.safetensors", tensors, {"kind": "model", "about": {"k": 2}})
    add("tensors", "model.safetensors", lambda path: load_tensors(path, "model", "mend it"))
    return formats


def _features(folder: Path) -> Any:
    store = FeatureStore(folder)
    return collect_prototypes(folder), list(store.features(store.ids()))


def _pseudo(folder: Path) -> Any:
    masks = PseudoMasks(folder)
    return {i: masks.read(i) for i in masks.ids()}


def mutate(content: bytes, rng: np.random.Generator) -> bytes:
    """One to three random changes."""
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 4))):
        at, size = int(rng.integers(len(data) + 1)), int(rng.integers(1, 17))
        how = int(rng.integers(7))
        if how == 0 and at < len(data):
            data[at] ^= 1 << int(rng.integers(8))
        elif how == 1:
            data[at : at + size] = rng.bytes(len(data[at : at + size]))
        elif how == 2:
            del data[at : at + size]
        elif how == 3:
            data[at:at] = data[at : at + size]
        elif how == 4:
            data[at : at + size] = bytes(len(data[at : at + size]))
        elif how == 5 and at < len(data):
            data[at] = int(rng.choice([0, 1, 127, 128, 255, 34, 92, 91]))
        elif how == 6 and rng.random() < 0.2:
            del data[at:]
    return bytes(data)


def judge(kind: str, form: Format, path: Path, truth: Any) -> str:
    """What a reader does with a mutated file."""
    try:
        found = plain(form.read(path))
    except FsslibError as error:
        return "refused" if len(str(error).splitlines()) == 1 else "crash"
    except Exception as error:
        return f"crash: {type(error).__name__}: {str(error)[:100]}"
    if found == truth:
        return "same"
    return "other" if kind in USERS else "silent"


def work(folder: Path, kinds: list[str], seed: int, start: int, pipe: Any) -> None:
    """Read mutated files from number `start` on, telling the number before each and the outcome."""
    torch.set_num_threads(1)
    formats = make_formats(folder / "whole")
    truth, places = {}, {}
    for kind in kinds:
        places[kind] = folder / kind
        places[kind].mkdir(exist_ok=True)
        (places[kind] / formats[kind].name).write_bytes(formats[kind].whole)
        truth[kind] = plain(formats[kind].read(places[kind] / formats[kind].name))
    number = start
    while True:
        kind = kinds[number % len(kinds)]
        form = formats[kind]
        content = mutate(form.whole, np.random.default_rng([seed, number]))
        path = places[kind] / form.name
        path.write_bytes(content)
        pipe.send(
            (
                number,
                kind,
                "same" if content == form.whole else judge(kind, form, path, truth[kind]),
            )
        )
        number += 1


def run(files: int, seed: int = 0, kinds: list[str] | None = None, seconds: float = 1e9) -> Any:
    """Tally of outcomes of each kind, and the faults; ends early when the time is over."""
    tally: dict[str, Counter[str]] = {}
    faults: list[tuple[int, str, str]] = []
    context = multiprocessing.get_context("fork")
    done, started = 0, time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        names = kinds or list(make_formats(folder / "whole"))
        while done < files and time.monotonic() - started < seconds:
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(target=work, args=(folder, names, seed, done, theirs))
            process.start()
            theirs.close()
            while done < files and time.monotonic() - started < seconds:
                try:
                    if not ours.poll(SECONDS):
                        outcome = (done, names[done % len(names)], "hang")
                    else:
                        outcome = ours.recv()
                except EOFError:
                    outcome = (done, names[done % len(names)], "died")
                number, kind, word = outcome
                tally.setdefault(kind, Counter())[word.split(":")[0]] += 1
                if word.split(":")[0] in ("crash", "silent", "hang", "died"):
                    faults.append((number, kind, word))
                done += 1
                if word in ("hang", "died"):
                    break
            process.kill()
            process.join()
    return {"files": done, "seconds": round(time.monotonic() - started), "tally": tally}, faults


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=1e9, help="end after so long")
    parser.add_argument("--kinds", nargs="*", help="formats; all by default")
    args = parser.parse_args()
    found, faults = run(args.files, args.seed, args.kinds, args.seconds)
    for fault in faults[:50]:
        print(*fault)
    print(json.dumps({**found, "faults": len(faults)}))
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
