"""Prepares the pictures of a fold, each with its title and caption."""

from collections.abc import Iterator
from typing import Any

from fsslib.pictures.page.pictures import embed
from fsslib.pictures.page.ranking import EACH
from fsslib.pictures.page.run import FoldRun

Json = dict[str, Any]

SHEETS = {
    "clusters": (
        "cluster",
        "Sub-clusters and their typical regions",
        "One row a sub-cluster of the base classes' prototypes, largest first: its size and main "
        "classes, then the regions nearest to its centre.",
    ),
    "pseudo": (
        "annotate",
        "Pseudo-masks",
        "Training photographs that hide novel classes: what training may see (base classes), what "
        "lies unlabelled in it (hidden), and what the sub-clusters make of it.",
    ),
    "training": (
        "train",
        "What training shows",
        "Base-class episodes and pool images with the weights of the last step drawn. The images "
        "are the same at every step and in every run with this seed.",
    ),
    "episodes": (
        "evaluate",
        "Episodes of novel classes",
        "Support, query with truth (green), query with prediction (orange) and its IoU in percent. "
        "A fixed sample, the first two episodes of each class, good and bad as they come: neither "
        "the best nor the worst were picked.",
    ),
}
"""Picture -> stage that draws it, title, caption."""
RANKED = {
    "best": "The best {} of {} episodes",
    "worst": "The worst {} of {} episodes",
}
RANKED_CAPTION = (
    "Of the first {} episodes of the list with different queries, predicted anew for this page "
    "with the trained model and params.yaml as it is now."
)
"""Caption of the pictures that `fss report --ranked` adds."""


def sheets(fold: FoldRun) -> Iterator[Json]:
    """Yield the title, caption and picture of each sheet, and a text for a missing picture."""
    for name in SHEETS:
        yield _sheet(fold, name)
    yield from _ranked(fold)


def _sheet(fold: FoldRun, name: str) -> Json:
    stage, title, caption = SHEETS[name]
    content = fold.pictures.get(name)
    picture = None if content is None else embed(content)
    why = "is not there" if content is None else "cannot be read"
    missing = f"{name}.png {why}: `fss {stage} --fold {fold.fold}` draws it."
    return {"title": title, "caption": caption, "picture": picture, "missing": missing}


def _ranked(fold: FoldRun) -> Iterator[Json]:
    each = min(EACH, fold.ranked // 2)
    for name, title in RANKED.items():
        if name in fold.pictures:
            yield {
                "title": title.format(each, fold.ranked),
                "caption": RANKED_CAPTION.format(fold.ranked),
                "picture": embed(fold.pictures[name]),
                "missing": "",
            }
