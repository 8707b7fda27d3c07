"""Classes of the pretraining pictures: other silhouettes, each in three coats."""

from fsslib.data.rendering import other_animals as animals
from fsslib.data.rendering import other_things as things
from fsslib.data.rendering.classes import Kind
from fsslib.data.rendering.colours import EARTH, VIVID, Coat
from fsslib.data.rendering.patterns import PATTERNS

ANY = (*VIVID, *EARTH)

FIGURES = (
    animals.fish,
    animals.turtle,
    animals.snail,
    animals.snake,
    animals.whale,
    animals.jellyfish,
    things.rocket,
    things.house,
    things.umbrella,
    things.cup,
    things.apple,
    animals.starfish,
    things.icecream,
    things.hat,
    things.guitar,
    things.crown,
    things.windmill,
    animals.crab,
)
"""Silhouettes; none is used by `classes.KINDS`."""


def _kinds() -> tuple[Kind, ...]:
    """Each figure in three patterns, dealt so that all patterns meet several silhouettes."""
    names = list(PATTERNS)
    kinds = []
    for i, figure in enumerate(FIGURES):
        for j in range(3):
            pattern = names[(i + j * 3) % len(names)]
            coats = {
                "main": Coat((pattern,), ANY, ANY, 0.26, 45.0 * (i % 4)),
                "second": Coat(tuple(names), ANY, ANY, 0.22),
                "flame": Coat(("plain",), ("orange", "red"), ("yellow",)),
                "cone": Coat(("checker", "bricks"), ("tan", "orange"), ("brown",), 0.16),
            }
            kinds.append(Kind(f"{pattern} {figure.__name__}", figure, coats))
    return tuple(kinds)


PRETRAINING_KINDS: tuple[Kind, ...] = _kinds()
"""Silhouette x pattern, disjoint from the twenty classes of the benchmark."""
