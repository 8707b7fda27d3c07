"""Base classes that play novel, to choose settings without looking at novel classes (section 4.1).

The paper examines its hyper-parameters "on the left classes in the training set". A held-out
manifest lets every stage do the same: in each fold one group of base classes is held back and
scored, and the fold's own novel classes are hidden, so that they are neither trained nor scored.
"""

from dataclasses import replace
from hashlib import sha256

from fsslib.data.folds import balanced_folds
from fsslib.data.manifest import Manifest
from fsslib.errors import FsslibError

SCORED_SHARE = 1 / 5
"""Share of the training images that is set aside by a hash of the id and scored."""

GROUPS = 3
"""Groups that the base classes of an only fold are divided into."""


def groups(manifest: Manifest, fold: int) -> tuple[tuple[int, ...], ...]:
    """Groups of base classes of a fold that can play novel.

    Each other fold's novel classes are a group. Where there is only one fold, its base classes are
    divided into three groups of equal size.
    """
    base = set(manifest.base(fold))
    if len(manifest.folds) > 1:
        others = [f for number, f in enumerate(manifest.folds) if number != fold]
        found = [tuple(c for c in other if c in base) for other in others]
        return tuple(group for group in found if group)
    ordered = sorted(base)
    return tuple(tuple(g) for g in balanced_folds(ordered, min(GROUPS, len(ordered))))


def hold_out(manifest: Manifest, group: int) -> Manifest:
    """A manifest in which one group of base classes plays novel in each fold.

    Args:
        manifest: of a dataset. Its validation records are dropped.
        group: which of `groups`, counted from 0.

    Returns:
        The same classes. In each fold the group is novel and the fold's own novel classes are
        hidden. A fifth of the training images, chosen by a hash of the id, is the validation
        split; the others stay for training.

    Raises:
        FsslibError: no such group in a fold, or no base class is left.
    """
    folds = []
    for fold in range(len(manifest.folds)):
        there = groups(manifest, fold)
        if group >= len(there):
            raise FsslibError(
                f"holdout: {group} is not one of 0 to {len(there) - 1}, the groups of base classes "
                f"of fold {fold}"
            )
        if len(there[group]) == len(manifest.base(fold)):
            raise FsslibError(
                f"holdout: {group} leaves fold {fold} no class to train on: a dataset needs three "
                "folds or more"
            )
        folds.append(there[group])
    aside = {r.id for r in manifest.train if _is_aside(r.id)}
    return replace(
        manifest,
        folds_rule=f"{manifest.folds_rule}, holdout {group}",
        folds=tuple(folds),
        hidden=manifest.folds,
        train=tuple(r for r in manifest.train if r.id not in aside),
        val=tuple(r for r in manifest.train if r.id in aside),
    )


def _is_aside(image_id: str) -> bool:
    return sha256(image_id.encode()).digest()[0] < 256 * SCORED_SHARE
