"""The table of pocket concepts: what is drawn, and which hypernyms are true of it.

Names and hypernyms are WordNet words, so that a language model trained on WordNet text can be asked about all of them.
Nothing heavy is imported here: the table is read by commands that must not load numpy, torch or Pillow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Category:
    """Describe one category: the body plan its members share is the family file that draws them."""

    name: str
    parents: tuple[str, ...]  # categories above this one, nearest first
    body_plan: str  # what members have in common when drawn; the visual similarity inside the category
    family: str  # module of taxbench.pocket.art that draws the members
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Concept:
    """Name one leaf with the hypernyms that are true of it, nearest first."""

    name: str
    hypernyms: tuple[str, ...]
    category: str
    body_plan: str
    family: str


CATEGORIES: Final[tuple[Category, ...]] = (
    Category(
        "bird",
        ("animal",),
        "oval body in profile, round head on a neck, beak, folded wing, tail, two thin legs",
        "birds",
        ("duck", "owl", "penguin", "parrot", "swan", "flamingo", "eagle", "rooster"),
    ),
    Category(
        "mammal",
        ("animal",),
        "furry trunk in profile on four legs, head with ears, snout and eye, tail",
        "mammals",
        ("cat", "elephant", "rabbit", "giraffe", "pig", "zebra", "camel", "mouse"),
    ),
    Category(
        "insect",
        ("animal",),
        "head, thorax and abdomen in a row seen from above, six jointed legs, two antennae, wings",
        "insects",
        ("bee", "butterfly", "ant", "beetle", "dragonfly", "ladybug", "grasshopper", "mosquito"),
    ),
    Category(
        "fish",
        ("animal",),
        "smooth tapering body with fins, tail, gill and round eye, no legs",
        "fish",
        ("shark", "goldfish", "eel", "seahorse", "stingray", "swordfish", "salmon", "angelfish"),
    ),
    Category(
        "fruit",
        (),
        "glossy round flesh in one strong colour, short brown stem, one or two small leaves",
        "fruits",
        ("apple", "banana", "orange", "strawberry", "pear", "pineapple", "grape", "cherry"),
    ),
    Category(
        "vegetable",
        (),
        "upright matt body with growth lines and a green top: leaves, florets or stalk",
        "vegetables",
        ("carrot", "broccoli", "onion", "cucumber", "eggplant", "pumpkin", "asparagus", "radish"),
    ),
    Category(
        "vehicle",
        (),
        "painted body in profile with glass windows and dark round wheels",
        "vehicles",
        ("car", "truck", "bus", "bicycle", "motorcycle", "tractor", "airplane", "helicopter"),
    ),
    Category(
        "watercraft",
        ("vehicle",),
        "pointed hull in profile with superstructure above and wave lines along the waterline",
        "watercraft",
        ("sailboat", "canoe", "submarine", "ferry", "speedboat", "gondola", "battleship", "tugboat"),
    ),
    Category(
        "furniture",
        (),
        "flat wooden boards and cushions with grain, standing on straight legs",
        "furniture",
        ("chair", "table", "bed", "sofa", "desk", "bookcase", "stool", "wardrobe"),
    ),
    Category(
        "tool",
        (),
        "long upright handle with a steel working end",
        "tools",
        ("hammer", "saw", "screwdriver", "wrench", "axe", "shovel", "rake", "scissors"),
    ),
    Category(
        "musical instrument",
        (),
        "varnished wood or polished brass with strings, keys or bars and a sounding body",
        "instruments",
        ("guitar", "piano", "drum", "violin", "trumpet", "flute", "harp", "xylophone"),
    ),
    Category(
        "clothing",
        (),
        "flat symmetric piece of cloth with folds, stitched seams and hems",
        "clothing",
        ("shirt", "skirt", "trousers", "dress", "coat", "sock", "hat", "necktie"),
    ),
    Category(
        "container",
        (),
        "hollow upright vessel, symmetric about its axis, dark oval opening with a rim at the top",
        "containers",
        ("bottle", "bucket", "cup", "vase", "box", "basket", "barrel", "bowl"),
    ),
)


def _concepts() -> tuple[Concept, ...]:
    """Flatten the categories into one row per leaf, in table order."""
    return tuple(
        Concept(leaf, (category.name, *category.parents), category.name, category.body_plan, category.family)
        for category in CATEGORIES
        for leaf in category.members
    )


CONCEPTS: Final[tuple[Concept, ...]] = _concepts()
CONCEPT_NAMES: Final[tuple[str, ...]] = tuple(concept.name for concept in CONCEPTS)
BY_NAME: Final[Mapping[str, Concept]] = MappingProxyType({concept.name: concept for concept in CONCEPTS})
HYPERNYMS: Final[tuple[str, ...]] = tuple(sorted({name for concept in CONCEPTS for name in concept.hypernyms}))
