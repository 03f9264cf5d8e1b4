"""The one rule for more than one of a thing."""

import pytest

from taxbench.protocol.words import plural

PAIRS = (
    "crow:crows|fox:foxes|brush:brushes|cherry:cherries|toy:toys|bookshelf:bookshelves|headscarf:headscarves|mouse:mice|"
    "snowman:snowmen|human:humans|chest of drawers:chests of drawers|piece of jewelry:pieces of jewelry|"
    "goldfish:goldfish|watercraft:watercraft|fire salamander:fire salamanders|tomato:tomatoes|piano:pianos|"
    "cup of tea:cups of tea|clothing:clothing|trousers:trousers|protective clothing:protective clothing|woman:women|"
    "musical instrument:musical instruments|sports equipment:sports equipment|child:children|toothbrush:toothbrushes"
)


@pytest.mark.parametrize("pair", PAIRS.split("|"))
def test_the_head_noun_changes_and_mass_nouns_do_not(pair: str) -> None:
    one, many = pair.split(":")
    assert plural(one) == many
