"""Say more than one of a term: "crows", "chests of drawers", "clothing", "mice". The single home of that rule."""

from taxbench.protocol.articles import goes_bare, words

# Changed as whole words, alone or as the last word of a compound.
_IRREGULAR = {
    "axis": "axes", "calf": "calves", "child": "children", "die": "dice", "echo": "echoes", "foot": "feet",
    "goose": "geese", "half": "halves", "hero": "heroes", "hoof": "hooves", "knife": "knives", "leaf": "leaves",
    "life": "lives", "loaf": "loaves", "louse": "lice", "man": "men", "mango": "mangoes", "mosquito": "mosquitoes",
    "mouse": "mice", "octopus": "octopuses", "ox": "oxen", "oasis": "oases", "person": "people", "potato": "potatoes",
    "passerby": "passersby", "quiz": "quizzes", "shaman": "shamans", "thief": "thieves",
    "scarf": "scarves", "sheaf": "sheaves", "shelf": "shelves", "tomato": "tomatoes", "tooth": "teeth",
    "torpedo": "torpedoes", "wharf": "wharves", "wife": "wives", "wolf": "wolves", "woman": "women",
}  # fmt: skip
# Compounds written as one word take the change of their last part: bookshelf, penknife, snowman.
_ENDINGS = (
    "shelf",
    "scarf",
    "knife",
    "woman",
    "man",
    "tooth",
    "mouse",
    "goose",
    "foot",
    "leaf",
    "loaf",
    "wife",
    "child",
)
_REGULAR = frozenset(("human", "german", "roman", "talisman", "caiman", "cayman", "ottoman", "mongoose"))
_UNCHANGED = words(
    """
    aircraft bison cod deer elk fish halibut hovercraft moose offspring reindeer salmon series sheep shrimp spacecraft
    species squid swine trout tuna watercraft
    """
)
_HISSING = ("s", "x", "z", "ch", "sh")


def plural(term: str) -> str:
    """Return the plural of a countable term, and mass nouns and plurals as they are.

    The head noun changes: the last word, or the one before "of".
    """
    if goes_bare(term):
        return term
    parts = term.split()
    head = (parts.index("of") if "of" in parts[1:] else len(parts)) - 1
    return " ".join([*parts[:head], _plural_word(parts[head]), *parts[head + 1 :]])


def _plural_word(word: str) -> str:
    low = word.lower()
    if low in _UNCHANGED or low.endswith("fish"):
        return word
    if low in _IRREGULAR:
        return word[:1] + _IRREGULAR[low][1:] if word[:1] == low[:1] else _IRREGULAR[low].capitalize()
    for ending in _ENDINGS:
        if low.endswith(ending) and low not in _REGULAR:
            return word[: -len(ending)] + _IRREGULAR[ending]
    if low.endswith(_HISSING):
        return word + "es"
    if low.endswith("y") and len(low) > 1 and low[-2] not in "aeiou":
        return word[:-1] + "ies"
    return word + "s"
