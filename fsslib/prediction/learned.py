"""Learned classes: what was pooled from their supports, and the file that keeps it."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from fsslib.data.images import UInt8
from fsslib.errors import FsslibError
from fsslib.evaluation.episodes import Episode
from fsslib.evaluation.supports import Need, Support, make_bank, pool_support
from fsslib.files.tensor_files import VERSION, header_value, load_tensors, save_tensors
from fsslib.prediction.support_masks import INSIDE
from fsslib.rectification.rectify import Rectification

KIND = "classes"
REMEDY = "learn the classes again and save them"
PARTS = ("foreground", "background", "has_background", "embedding")

Learned = Mapping[str, Sequence[Support]]
"""Name of a class -> its supports, in the order of the ways."""


def pool_class(feature: Tensor, mask: UInt8, name: str, number: int) -> Support:
    """Pool one support of a class (eq. 2).

    Args:
        feature: (C, h, w) float32 of the photograph.
        mask: (H, W) of `support_mask`.
        name: of the class.
        number: of the support within its class.
    """
    return pool_support(feature, torch.tensor(mask, device=feature.device), _need(name, number))


def _need(name: str, number: int) -> Need:
    """A support's own class and the rest of its photograph; the id only has to be unique."""
    return Need(f"{name}/{number}", (INSIDE,), ((INSIDE,),))


@dataclass(frozen=True)
class Prototypes:
    """What a query is matched with.

    Attributes:
        foreground: (ways, C) float32, rectified by eq. 8 and 9 where that is asked for.
        background: (C,) float32, mean over all supports, fused by eq. 7 where that is asked for.
    """

    foreground: Tensor
    background: Tensor


def match_prototypes(learned: Learned, rectification: Rectification) -> Prototypes:
    """Prototypes of all learned classes, at least one, as an episode of these ways has them."""
    bank = make_bank((s for supports in learned.values() for s in supports), rectification)
    ids = [tuple(s.need.image_id for s in supports) for supports in learned.values()]
    ways = [bank.of_episodes([_episode(one)])[0][0] for one in ids]
    _, background = bank.of_episodes([_episode(tuple(i for one in ids for i in one))])
    return Prototypes(torch.cat(ways), background[0])


def _episode(supports: tuple[str, ...]) -> Episode:
    """One way with these supports; classes may differ in their number of supports."""
    return Episode(0, 0, "", (INSIDE,), (supports,))


def encoder_digest(encoder: nn.Module) -> str:
    """SHA-256 of an encoder's weights: prototypes mean nothing to another one."""
    digest = hashlib.sha256()
    for name, value in sorted(encoder.state_dict().items()):
        if not name.endswith("num_batches_tracked"):
            digest.update(f"{name} {tuple(value.shape)} ".encode())
            digest.update(value.detach().cpu().float().contiguous().numpy().tobytes())
    return digest.hexdigest()


def save_learned(path: Path, learned: Learned, encoder: str) -> None:
    """Write classes atomically, a few kB a support.

    Args:
        path: of the safetensors file.
        learned: the classes.
        encoder: `encoder_digest` of the one that encoded them.
    """
    tensors = {
        f"{number}.{part}": torch.stack([getattr(s, part) for s in supports])
        for number, supports in enumerate(learned.values())
        for part in PARTS
    }
    head = {"kind": KIND, "version": VERSION, "encoder": encoder, "names": list(learned)}
    save_tensors(path, tensors, head)


def load_learned(path: Path, encoder: str, device: torch.device) -> dict[str, tuple[Support, ...]]:
    """Read classes; never unpickles.

    Raises:
        FsslibError: missing, damaged or foreign file, or classes of another encoder.
    """
    tensors, head = load_tensors(path, KIND, REMEDY)
    made_with = header_value(head, "encoder", str, path, REMEDY)
    if made_with != encoder:
        raise FsslibError(
            f"{path} was made with the encoder {str(made_with)[:12]}, this one is {encoder[:12]}: "
            "load the model that learned the classes, or learn them again"
        )
    names: list[str] = header_value(head, "names", list, path, REMEDY)
    found: dict[str, tuple[Support, ...]] = {}
    for number, name in enumerate(names):
        parts = [tensors.get(f"{number}.{part}") for part in PARTS]
        if any(part is None for part in parts):
            raise FsslibError(f"{path} lacks the prototypes of {name!r}: {REMEDY}")
        rows = zip(*(part.to(device) for part in parts if part is not None), strict=True)
        found[name] = tuple(Support(_need(name, i), *row) for i, row in enumerate(rows))
    return found
