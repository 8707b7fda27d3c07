"""The training images of a model, as its header describes them: dataset, number and kind."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from fsslib.data.manifest import Manifest

RENDERED = "procedural"
"""The dataset whose images are rendered. All other datasets hold photographs."""

KEY = "trained_on"


@dataclass(frozen=True)
class TrainedOn:
    """The labelled training images of a fold.

    Attributes:
        dataset: `procedural`, `pascal`, `coco` or `folder`.
        images: number of training images with a base class; 0 if the header does not give it.
        rendered: whether the images are rendered scenes instead of photographs.
        classes: names of the base classes.
    """

    dataset: str
    images: int
    rendered: bool
    classes: tuple[str, ...]

    @classmethod
    def of_fold(cls, manifest: Manifest, fold: int) -> "TrainedOn":
        """Describe the images that a fold of a dataset trains on."""
        return cls(
            manifest.dataset,
            len(manifest.labelled(fold)),
            manifest.dataset == RENDERED,
            tuple(manifest.classes[c] for c in manifest.base(fold)),
        )

    @classmethod
    def read(cls, about: Mapping[str, Any]) -> "TrainedOn | None":
        """Read the description from a model's header; None if there is none.

        Models of version 0.1 have no description. If they started from the project's own rendered
        weights, they saw no photograph.
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
        """Return the entry for a model's header, which is stored under `KEY`."""
        return {**asdict(self), "classes": list(self.classes)}

    def __str__(self) -> str:
        """Return a text such as `434 rendered scenes of procedural, 15 classes`."""
        kind = "rendered scenes" if self.rendered else "photographs"
        many = f"{self.images} {kind}" if self.images else kind
        classes = f", {len(self.classes)} classes" if self.classes else ""
        return f"{many} of {self.dataset}{classes}"
