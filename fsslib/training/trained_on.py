"""What trained a model, as its header says: which images, how many, photographs or rendered."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from fsslib.data.manifest import Manifest

RENDERED = "procedural"
"""The dataset whose images are rendered; all others hold photographs."""

KEY = "trained_on"


@dataclass(frozen=True)
class TrainedOn:
    """The labelled images of a fold.

    Attributes:
        dataset: `procedural`, `pascal`, `coco` or `folder`.
        images: number of training images with a base class, 0 where the header does not say.
        rendered: whether they are rendered scenes instead of photographs.
        classes: names of the base classes.
    """

    dataset: str
    images: int
    rendered: bool
    classes: tuple[str, ...]

    @classmethod
    def of_fold(cls, manifest: Manifest, fold: int) -> "TrainedOn":
        """What a fold of a dataset trains on."""
        return cls(
            manifest.dataset,
            len(manifest.labelled(fold)),
            manifest.dataset == RENDERED,
            tuple(manifest.classes[c] for c in manifest.base(fold)),
        )

    @classmethod
    def read(cls, about: Mapping[str, Any]) -> "TrainedOn | None":
        """What a model's header says, None where it says nothing.

        Models of version 0.1 do not say it. Those with its own rendered weights saw no photograph.
        """
        found = about.get(KEY)
        if not isinstance(found, dict):
            return cls(RENDERED, 0, True, ()) if about.get("weights") == RENDERED else None
        try:
            return cls(
                str(found["dataset"]),
                int(found["images"]),
                bool(found["rendered"]),
                tuple(map(str, found["classes"])),
            )
        except (KeyError, TypeError, ValueError):
            return None

    def header(self) -> dict[str, Any]:
        """For a model's header, under `KEY`."""
        return {**asdict(self), "classes": list(self.classes)}

    def __str__(self) -> str:
        """Such as `434 rendered scenes of procedural, 15 classes`."""
        kind = "rendered scenes" if self.rendered else "photographs"
        many = f"{self.images} {kind}" if self.images else kind
        classes = f", {len(self.classes)} classes" if self.classes else ""
        return f"{many} of {self.dataset}{classes}"
