"""The one rule for a, an, or no article, and the one for more than one of a thing."""

import pytest

from taxbench.protocol.words import plural, with_article

COUNTED = (
    "a crow|an owl|an hourglass|a unicycle|a ukulele|a uniform|an umbrella|an urn|an heirloom|a utensil|an x-ray|"
    "a t-shirt|an SUV|a one-way street|a European hare|a bus|a glass|a lens|a chest of drawers|a piece of jewelry|"
    "a tool|a musical instrument|a curling iron|a thermos|a walrus|a fire salamander|a watercraft|an animal"
)
BARE = (
    "clothing|furniture|trousers|scissors|asparagus|broccoli|food|footwear|jewelry|protective clothing|"
    "sports equipment|french fries|water|toilet paper"
)
PAIRS = (
    "crow:crows|fox:foxes|brush:brushes|cherry:cherries|toy:toys|bookshelf:bookshelves|headscarf:headscarves|mouse:mice|"
    "snowman:snowmen|human:humans|chest of drawers:chests of drawers|piece of jewelry:pieces of jewelry|"
    "goldfish:goldfish|watercraft:watercraft|fire salamander:fire salamanders|tomato:tomatoes|piano:pianos|"
    "cup of tea:cups of tea|clothing:clothing|trousers:trousers|protective clothing:protective clothing|woman:women|"
    "musical instrument:musical instruments|sports equipment:sports equipment|child:children|toothbrush:toothbrushes"
)


@pytest.mark.parametrize("expected", COUNTED.split("|"))
def test_countable_terms_take_the_article_of_their_sound(expected: str) -> None:
    assert with_article(expected.split(" ", 1)[1]) == expected


@pytest.mark.parametrize("term", BARE.split("|"))
def test_mass_nouns_and_plurals_go_bare(term: str) -> None:
    assert with_article(term) == term


def test_underscores_do_not_matter() -> None:
    assert with_article("aircraft_carrier") == "an aircraft_carrier"


@pytest.mark.parametrize("term", ["", "____"])
def test_what_is_no_word_stays(term: str) -> None:
    assert with_article(term) == plural(term) == term


@pytest.mark.parametrize("pair", PAIRS.split("|"))
def test_the_head_noun_changes_and_mass_nouns_do_not(pair: str) -> None:
    one, many = pair.split(":")
    assert plural(one) == many
