"""Stores frozen episodes as readable JSON with a hash, and checks them against the dataset."""

import json
from itertools import groupby
from pathlib import Path
from typing import Any

from fsslib.data.manifest import ImageRecord, Manifest
from fsslib.errors import FsslibError
from fsslib.evaluation.episodes import PROTOCOLS, Episode, EpisodeSet
from fsslib.files.storage import json_digest, read_json, write_bytes

KIND, VERSION = "fsslib-episodes", 2
REMEDY = "run the stage 'episodes' again, or give the file as it was written"


def _to_json(episodes: EpisodeSet) -> dict[str, Any]:
    """Return the head fields, then one list for each number of shots and each seed.

    The index of an episode is its place in the list.
    """
    lists = [
        {"shots": shots, "seed": seed, "episodes": [_row(episode) for episode in group]}
        for (shots, seed), group in groupby(episodes.episodes, key=lambda e: (e.shots, e.seed))
    ]
    return {
        "kind": KIND,
        "version": VERSION,
        "dataset": episodes.dataset,
        "protocol": episodes.protocol,
        "fold": episodes.fold,
        "novel": list(episodes.novel),
        "shots": list(episodes.shots),
        "ways": episodes.ways,
        "seeds": list(episodes.seeds),
        "count": episodes.count,
        "min_pixels": episodes.min_pixels,
        "min_images": episodes.min_images,
        "lists": lists,
    }


def _row(episode: Episode) -> list[Any]:
    return [episode.query, list(episode.class_ids), [list(ids) for ids in episode.supports]]


def episodes_hash(episodes: EpisodeSet) -> str:
    """Return the hex sha256 of the content; it is equal for equal episodes, whatever wrote them."""
    return json_digest(_to_json(episodes))


def save_episodes(episodes: EpisodeSet, path: Path) -> None:
    """Write the episodes, one per line: `[query, [class, ...], [[support, ...], ...]]`."""
    content = _to_json(episodes)
    lists = content.pop("lists")
    head = {**content, "sha256": episodes_hash(episodes)}
    blocks = []
    for block in lists:
        rows = ",\n".join(json.dumps(row, ensure_ascii=False) for row in block["episodes"])
        blocks.append(
            f'{{"shots": {block["shots"]}, "seed": {block["seed"]}, "episodes": [\n{rows}\n]}}'
        )
    text = json.dumps(head, ensure_ascii=False)[:-1] + ', "lists": [\n' + ",\n".join(blocks)
    write_bytes(path, (text + "\n]}\n").encode())


def load_episodes(path: Path) -> EpisodeSet:
    """Read a file that `save_episodes` wrote.

    Raises:
        FsslibError: the file is missing, of another kind or version, damaged, or was changed after
            it was written.
    """
    raw = read_json(path, REMEDY)
    if not isinstance(raw, dict) or raw.get("kind") != KIND:
        raise FsslibError(f"{path} is not a file of episodes: {REMEDY}")
    if raw.get("version") != VERSION:
        raise FsslibError(f"{path} has layout {raw.get('version')}, expected {VERSION}: {REMEDY}")
    digest = raw.pop("sha256", None)
    if digest != json_digest(raw):
        raise FsslibError(f"{path} was changed, its sha256 does not fit its content: {REMEDY}")
    try:
        return _from_json(raw)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FsslibError(f"{path} is damaged ({error!r}): {REMEDY}") from None


def _from_json(raw: dict[str, Any]) -> EpisodeSet:
    episodes = []
    for block in raw["lists"]:
        for index, (query, class_ids, supports) in enumerate(block["episodes"]):
            ways = tuple(tuple(str(i) for i in ids) for ids in supports)
            classes = tuple(int(c) for c in class_ids)
            episodes.append(Episode(int(block["seed"]), index, str(query), classes, ways))
    return EpisodeSet(
        dataset=str(raw["dataset"]),
        protocol=str(raw["protocol"]),
        fold=int(raw["fold"]),
        novel=tuple(int(c) for c in raw["novel"]),
        shots=tuple(int(s) for s in raw["shots"]),
        ways=int(raw["ways"]),
        seeds=tuple(int(s) for s in raw["seeds"]),
        count=int(raw["count"]),
        min_pixels=int(raw["min_pixels"]),
        min_images=int(raw["min_images"]),
        episodes=tuple(episodes),
    )


def check_episodes(episodes: EpisodeSet, manifest: Manifest) -> None:
    """Check that every episode can be scored on the dataset's val split.

    Raises:
        FsslibError: the dataset, protocol or fold is another one, an image is unknown, an image
            lacks its class, or supports repeat. The message names the first offending episode.
    """
    if episodes.protocol not in PROTOCOLS:
        raise FsslibError(f"episodes: protocol {episodes.protocol!r} is unknown: {REMEDY}")
    if episodes.dataset != manifest.dataset:
        raise FsslibError(
            f"episodes: drawn on dataset {episodes.dataset}, this one is {manifest.dataset}: "
            + REMEDY
        )
    if set(episodes.novel) != set(manifest.novel(episodes.fold)):
        raise FsslibError(
            f"episodes: fold {episodes.fold} has novel classes {list(episodes.novel)} in the file "
            f"and {list(manifest.novel(episodes.fold))} in the dataset: {REMEDY}"
        )
    records = {record.id: record for record in manifest.val}
    for episode in episodes.episodes:
        problem = _problem(episode, episodes, records)
        if problem:
            raise FsslibError(
                f"episodes: seed {episode.seed}, index {episode.index}: {problem}: {REMEDY}"
            )


def _problem(episode: Episode, within: EpisodeSet, records: dict[str, ImageRecord]) -> str:
    """Return what is wrong with one episode, or an empty text."""
    if len(episode.class_ids) != within.ways or len(episode.supports) != within.ways:
        return f"{len(episode.class_ids)} classes instead of ways: {within.ways}"
    if episode.shots not in within.shots or len({len(ids) for ids in episode.supports}) != 1:
        return f"number of supports is not one of shots: {list(within.shots)}"
    if not set(episode.class_ids) <= set(within.novel):
        return f"classes {list(episode.class_ids)} are not all novel in fold {within.fold}"
    used = [episode.query, *(i for ids in episode.supports for i in ids)]
    if len(set(used)) != len(used):
        return "an image occurs twice"
    needs = [(episode.query, episode.class_ids[0])]
    needs += [
        (i, c) for c, ids in zip(episode.class_ids, episode.supports, strict=True) for i in ids
    ]
    for image_id, class_id in needs:
        if image_id not in records:
            return f"image {image_id} is not in the val split"
        if not records[image_id].has_any([class_id]):
            return f"image {image_id} holds no pixel of class {class_id}"
    return ""
