"""The twenty classes of the benchmark: a figure and the coats of its parts.

Fold `f` holds the f-th class of each family (four-legged, winged, vehicle, plant, household).
Patterns and colour families recur in all folds on purpose, so that training on base classes helps
with novel classes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from fsslib.datasets.rendering import household, plants, quadrupeds, vehicles, winged
from fsslib.datasets.rendering.colours import EARTH, VIVID, Coat
from fsslib.datasets.rendering.curves import Rng
from fsslib.datasets.rendering.paint import Figure

PALE = ("white", "cream", "tan")
WOOD = Coat(("planks",), ("brown", "tan"), ("dark", "brown"), 0.16)
LEAF = Coat(("plain", "stripes"), ("green", "olive", "teal"), ("olive", "green"), 0.3)

COMMON: Mapping[str, Coat] = {
    "dark": Coat(("plain",), ("dark",), ("dark",)),
    "light": Coat(("plain",), ("white", "cream"), ("white",)),
    "glass": Coat(("plain",), ("sky", "white"), ("sky", "blue"), 0.5, 60),
    "metal": Coat(("plain",), ("gray", "white", "yellow"), ("gray",), 0.5),
    "wood": WOOD,
    "beak": Coat(("plain",), ("orange", "yellow", "gray"), ("brown",)),
    "trim": Coat(("plain",), (*VIVID, "white", "dark", "gray"), EARTH),
    "lamp": Coat(("plain",), ("yellow", "cream"), ("white",)),
    "leaf": LEAF,
    "stem": Coat(("plain", "stripes"), PALE, ("tan", "gray"), 0.16),
    "pot": Coat(("plain", "bricks"), ("orange", "brown", "blue", "gray"), ("brown", "cream"), 0.3),
}
"""Coats of the small parts that many classes share."""


@dataclass(frozen=True)
class Kind:
    """A class: its name, silhouette and coats.

    Attributes:
        name: name in the manifest.
        figure: function that draws the parts of one object.
        coats: slot -> coat; `COMMON` gives the other slots.
        size: factor of the scale, so that slender figures cover as much area as compact ones.
    """

    name: str
    figure: Callable[[Rng], Figure]
    coats: Mapping[str, Coat]
    size: float = 1.0


def _wings(*patterns: str, period: float = 0.28) -> Coat:
    return Coat(patterns, VIVID, (*VIVID, "dark", "cream"), period)


_KINDS: tuple[Kind, ...] = (
    # fold 0
    Kind("zebra", quadrupeds.zebra, {"main": Coat(("stripes",), PALE, ("dark", "brown"), 0.2, 8)}),
    Kind(
        "parrot",
        winged.parrot,
        {
            "main": _wings("scales", "plain", period=0.2),
            "wing": _wings("scales", "stripes", period=0.2),
        },
        size=1.15,
    ),
    Kind(
        "sailboat",
        vehicles.sailboat,
        {
            "main": Coat(
                ("planks", "plain"), ("brown", "red", "blue", "white"), ("dark", "brown"), 0.13, 90
            ),
            "sail": Coat(("plain", "stripes"), (*PALE, *VIVID), (*PALE, *VIVID), 0.4, 90),
            "second": Coat(("plain", "stripes"), (*PALE, *VIVID), PALE, 0.4, 90),
            "flag": _wings("plain"),
        },
        size=1.12,
    ),
    Kind(
        "mushroom",
        plants.mushroom,
        {
            "main": Coat(
                ("spots", "plain"), ("red", "brown", "orange", "purple", "tan", "blue"), PALE, 0.36
            ),
            "gills": Coat(("stripes",), PALE, ("brown",), 0.08),
        },
    ),
    Kind(
        "teapot",
        household.teapot,
        {"main": Coat(("checker", "plain", "spots"), (*VIVID, "white"), (*VIVID, "white"), 0.3)},
    ),
    # fold 1
    Kind(
        "leopard",
        quadrupeds.leopard,
        {"main": Coat(("spots",), ("tan", "yellow", "orange", "gray"), ("dark", "brown"), 0.2)},
        size=1.15,
    ),
    Kind(
        "butterfly",
        winged.butterfly,
        {
            "main": _wings("spots", "stripes", period=0.3),
            "second": _wings("spots", "plain", period=0.3),
        },
    ),
    Kind(
        "car",
        vehicles.car,
        {
            "main": Coat(
                ("plain", "plain", "checker"), (*VIVID, "white", "gray"), (*EARTH, "white"), 0.4
            )
        },
        size=1.08,
    ),
    Kind(
        "cactus",
        plants.cactus,
        {
            "main": Coat(
                ("stripes", "spots"), ("green", "olive", "teal"), ("olive", "cream", "dark"), 0.13
            ),
            "flower": _wings("plain"),
        },
        size=1.15,
    ),
    Kind(
        "armchair",
        household.armchair,
        {
            "main": Coat(("checker", "plain", "stripes", "wool"), (*VIVID, "tan"), EARTH, 0.26),
            "cushion": Coat(("plain", "stripes", "spots"), (*VIVID, *PALE), (*VIVID, *EARTH), 0.24),
        },
        size=0.92,
    ),
    # fold 2
    Kind(
        "sheep",
        quadrupeds.sheep,
        {
            "main": Coat(("wool",), (*PALE, "gray", "brown"), ("gray", "tan"), 0.26),
            "face": Coat(("plain",), ("dark", "cream", "brown", "tan"), ("dark",)),
        },
    ),
    Kind(
        "owl",
        winged.owl,
        {
            "main": Coat(
                ("scales", "spots"),
                ("brown", "tan", "gray", "white"),
                ("dark", "brown", "cream"),
                0.17,
            ),
            "wing": Coat(("scales", "stripes"), ("brown", "gray", "tan"), ("dark", "cream"), 0.17),
            "belly": Coat(("scales", "stripes"), PALE, ("brown", "gray"), 0.15, 90),
        },
    ),
    Kind(
        "balloon",
        vehicles.balloon,
        {
            "main": Coat(("stripes", "checker", "plain"), VIVID, (*VIVID, "white"), 0.36),
            "basket": Coat(("checker", "bricks"), ("brown", "tan"), ("dark", "brown"), 0.1),
        },
    ),
    Kind(
        "sunflower",
        plants.sunflower,
        {
            "petal": Coat(
                ("plain",),
                ("yellow", "orange", "pink", "white", "red", "purple"),
                ("orange", "red"),
            ),
            "core": Coat(
                ("spots", "checker", "wool"),
                ("brown", "dark", "yellow"),
                ("yellow", "dark", "tan"),
                0.12,
            ),
        },
        size=1.1,
    ),
    Kind(
        "lamp",
        household.lamp,
        {
            "main": Coat(
                ("plain", "stripes", "checker"),
                ("yellow", "orange", "cream", "red", "teal", "pink"),
                (*PALE, "orange"),
                0.26,
            ),
            "stand": Coat(("plain", "bricks", "scales"), (*VIVID, "gray", "brown"), EARTH, 0.2),
        },
        size=1.2,
    ),
    # fold 3
    Kind(
        "deer",
        quadrupeds.deer,
        {
            "main": Coat(
                ("plain", "plain", "spots"),
                ("brown", "tan", "orange", "gray"),
                ("brown", "cream"),
                0.24,
            ),
            "horn": Coat(("plain",), ("tan", "cream", "brown"), ("brown",)),
        },
        size=1.25,
    ),
    Kind(
        "bee",
        winged.bee,
        {
            "main": Coat(("stripes",), ("yellow", "orange", "tan"), ("dark", "brown"), 0.26),
            "fuzz": Coat(("wool",), ("yellow", "orange", "brown", "tan"), ("brown", "dark"), 0.2),
        },
    ),
    Kind(
        "train",
        vehicles.train,
        {
            "main": Coat(
                ("plain", "bricks", "planks"),
                ("red", "green", "blue", "gray", "teal"),
                ("dark", "gray"),
                0.3,
            ),
            "cabin": Coat(("plain", "planks"), VIVID, EARTH, 0.16),
        },
        size=0.95,
    ),
    Kind(
        "pine",
        plants.pine,
        {
            "main": Coat(
                ("scales", "wool"),
                ("green", "olive", "teal", "sky"),
                ("dark", "white", "olive"),
                0.2,
            )
        },
    ),
    Kind(
        "gift",
        household.gift,
        {
            "main": Coat(
                ("checker", "spots", "stripes", "plain"), (*VIVID, "white"), (*VIVID, "white"), 0.32
            ),
            "side": Coat(("checker", "spots", "stripes", "plain"), VIVID, VIVID, 0.32),
            "lid": Coat(("plain", "stripes"), VIVID, VIVID, 0.32),
            "ribbon": Coat(("plain",), (*VIVID, "white"), ("red", "white")),
        },
    ),
)
"""The classes in the order of the class ids 1 to 20, with all possible patterns and colours."""


def _typical(kind: Kind, number: int) -> Kind:
    """Narrow each coat to its first pattern and, per colour, two families that differ by class.

    A class with every pattern and colour can be recognised only by its outline, which one support
    hardly shows: a trained baseline then stays near 30 mIoU. A narrowed class has a recognisable
    look, made of patterns and colours that other classes have too.
    """
    coats = {}
    for place, (slot, coat) in enumerate(kind.coats.items()):
        first, second = _pair(coat.first, number), _pair(coat.second, number + place)
        coats[slot] = replace(coat, patterns=coat.patterns[:1], first=first, second=second)
    return replace(kind, coats=coats)


def _pair(families: tuple[str, ...], offset: int) -> tuple[str, ...]:
    start = 3 * offset % len(families)
    return (*families[start:], *families[:start])[:2]


KINDS: tuple[Kind, ...] = tuple(_typical(kind, number) for number, kind in enumerate(_KINDS))
"""The rendered classes in the order of the class ids 1 to 20."""
