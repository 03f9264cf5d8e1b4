"""The table of pocket concepts: what is drawn, and which hypernyms are true of it.

Names and hypernyms are WordNet words, so that a language model trained on WordNet text can be asked about all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Category:
    """One category; the file that draws its members says what they have in common."""

    name: str
    parents: tuple[str, ...]  # categories above this one, nearest first
    family: str  # module of taxbench.pocket.art that draws the members
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Concept:
    """Name one leaf with the hypernyms that are true of it, nearest first."""

    name: str
    hypernyms: tuple[str, ...]
    category: str
    family: str


CATEGORIES: Final[tuple[Category, ...]] = tuple(
    Category(name, parents, family, tuple(members.split()))
    for name, parents, family, members in (
        ("bird", ("animal",), "birds", "duck owl penguin parrot swan flamingo eagle rooster"),
        ("mammal", ("animal",), "mammals", "cat elephant rabbit giraffe pig zebra camel mouse"),
        ("insect", ("animal",), "insects", "bee butterfly ant beetle dragonfly ladybug grasshopper mosquito"),
        ("fish", ("animal",), "fish", "shark goldfish eel seahorse stingray swordfish salmon angelfish"),
        ("fruit", (), "fruits", "apple banana orange strawberry pear pineapple grape cherry"),
        ("vegetable", (), "vegetables", "carrot broccoli onion cucumber eggplant pumpkin asparagus radish"),
        ("vehicle", (), "vehicles", "car truck bus bicycle motorcycle tractor airplane helicopter"),
        (
            "watercraft",
            ("vehicle",),
            "watercraft",
            "sailboat canoe submarine ferry speedboat gondola battleship tugboat",
        ),
        ("furniture", (), "furniture", "chair table bed sofa desk bookcase stool wardrobe"),
        ("tool", (), "tools", "hammer saw screwdriver wrench axe shovel rake scissors"),
        ("musical instrument", (), "instruments", "guitar piano drum violin trumpet flute harp xylophone"),
        ("clothing", (), "clothing", "shirt skirt trousers dress coat sock hat necktie"),
        ("container", (), "containers", "bottle bucket cup vase box basket barrel bowl"),
    )
)

CONCEPTS: Final[tuple[Concept, ...]] = tuple(
    Concept(leaf, (category.name, *category.parents), category.name, category.family)
    for category in CATEGORIES for leaf in category.members
)  # fmt: skip
CONCEPT_NAMES: Final[tuple[str, ...]] = tuple(concept.name for concept in CONCEPTS)
BY_NAME: Final[Mapping[str, Concept]] = MappingProxyType({concept.name: concept for concept in CONCEPTS})
HYPERNYMS: Final[tuple[str, ...]] = tuple(sorted({name for concept in CONCEPTS for name in concept.hypernyms}))
