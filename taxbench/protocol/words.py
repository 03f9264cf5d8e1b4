"""English words as questions need them: articles and plurals."""

from functools import cache


def words(text: str) -> frozenset[str]:
    """Split a list that reads better as running text."""
    return frozenset(text.split())


# Nouns said without an article, looked up by the head noun, so "protective clothing" follows "clothing".
_MASS = words(
    """
    air alcohol aluminum ammunition art artwork arugula asparagus bacon baggage bakeware baklava bamboo barley
    bedding beef beer blood bok-choy bracken bread broccoli bubblewrap butter cabbage cake-mix calamari camouflage
    candy caramel cardboard cash caviar celery cement cereal chalk champagne charcoal cheese chewing-gum china
    chinaware chocolate cinnamon clay cloth clothing coal cocoa coffee coleslaw cookware coral corduroy corn
    cornbread cosmetics cotton couscous cream crockery curry cutlery debris decor denim deodorant dirt dough
    driftwood drinking-water dynamite earthenware eggnog electronics equipment eyeliner fabric fencing fiber
    firewood flax flooring flour foam fog foliage fondue food footgear footwear fruitcake fudge fuel fur furniture
    garbage garlic gauze gear ginger glassware glitter glue gold graffiti grain granite granola grass gravel gravy
    guacamole gum hair hairspray ham hardware hay headgear headwear hemp honey hosiery hummus ice ink insulation
    iron ivory ivy jade jam jelly jewellery jewelry juice kale kelp ketchup kitchenware lace lard lasagna lava
    leather lemonade lettuce lichen licorice lighting linen lingerie lip-balm lip-gloss livestock lotion luggage
    lumber lunchmeat macaroni machinery mail makeup marmalade mascara mashed-potato mayonnaise meat medicine milk
    mistletoe mold money moss mould mud mulch music mustard neckwear nightwear oatmeal oil okra outerwear packaging
    paint pantyhose paper paraffin parmesan parsley pasta pastry petrol petroleum plaster plastic
    playground-equipment plywood pollen popcorn porcelain pork porridge potpourri pottery poultry powder produce
    pudding rainwear ravioli rhubarb rice rope rubber rubbish rust salad-dressing salami salsa salt sand sandpaper
    sauerkraut sawdust scaffolding scenery scrabble seafood seaweed seed-corn shampoo shortbread shrubbery silk
    silver silverware skiwear sleepwear sleet slime smoke snow soap soda software soil sorbet soup soy spaghetti
    spinach sportswear stained-glass starch stationery steam steel stemware stew straw string stuff stuffing
    styrofoam sugar sunscreen sushi swimwear tableware taffy tape tar tea timber tinsel toast tofu toothpaste trash
    tupperware turf twine underclothing underwear urine vanilla vegetation velvet venison vinegar wallpaper water
    watercress wax weaponry wheat wildlife wine wire womenswear wood wool yarn yeast yogurt zinc
    """
)
# Plural in form and said without an article, although the ending alone does not show it.
_PLURAL = words("cattle children dice feet geese gentlemen media mice men oxen people police teeth women")
# One thing each, although the head noun alone names a material.
_COUNTED = frozenset(("curling iron", "soldering iron", "steam iron", "waffle iron", "jump rope", "skipping rope"))
# Ends like a plural but is one thing.
_SINGULAR_S = words("atlas bias canvas christmas gas lens pancreas pampas rhinoceros series species texas thermos")
# Sounds like a consonant although it begins with a vowel letter (unicycle, ewe, one-way), and the other way round.
_CONSONANT_SOUND = words(
    """
    eu ewe one once ouija u- uakari ubiq ufo uku unic unif unio uniq unis unit univ uran ure uric urin usa use usu uten
    uter util utop
    """
)
_VOWEL_SOUND = ("heir", "herb", "honest", "honor", "honour", "hour")
# Letters whose name starts with a vowel: an X-ray, an MRI scanner, an SUV.
_VOWEL_LETTERS = frozenset("aefhilmnorsx")
_INITIALISMS = words("atm atv cd cpu dvd fm gps hdtv led lp mp3 mri mrt rv suv tv usb vcr")


@cache
def with_article(term: str) -> str:
    """Return the term with "a", "an" or, for mass nouns and plurals, no article.

    The head noun decides on mass and plural ("chest of drawers" goes by "chest"), the first word on a or an. A term
    that is in no list follows its spelling; `term` itself comes back unchanged after the article.
    """
    parts = _split(term)
    if goes_bare(term):
        return term
    return f"{'an' if _starts_with_vowel_sound(parts[0]) else 'a'} {term}"


def goes_bare(term: str) -> bool:
    """Tell whether a term is a mass noun or a plural, said without an article."""
    parts = _split(term)
    if not parts:
        return True
    end = parts.index("of") if "of" in parts[1:] else len(parts)
    head = parts[end - 1]
    if " ".join(parts) in _COUNTED:
        return False
    if head in _MASS or head in _PLURAL or "-".join(parts[:end]) in _MASS:
        return True
    looks_plural = head.endswith("s") and not head.endswith(("ss", "us", "is", "'s"))
    return looks_plural and len(head) > 2 and head not in _SINGULAR_S


def _split(term: str) -> list[str]:
    """Return the lower-case words of a term."""
    return term.lower().replace("_", " ").split()


def _starts_with_vowel_sound(word: str) -> bool:
    """Tell whether the word calls for "an"."""
    spelled_out = word in _INITIALISMS or (len(word) > 1 and word[1] == "-") or len(word) == 1
    if spelled_out:
        return word[0] in _VOWEL_LETTERS
    if word.startswith(_VOWEL_SOUND):
        return True
    return word[0] in "aeiou" and not word.startswith(tuple(_CONSONANT_SOUND))


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
_ENDINGS = ("shelf", "scarf", "knife", "woman", "man", "tooth", "mouse", "goose", "foot", "leaf", "loaf", "wife",
            "child")  # fmt: skip
_REGULAR = frozenset(("human", "german", "roman", "talisman", "caiman", "cayman", "ottoman", "mongoose"))
_UNCHANGED = words(
    """
    aircraft bison cod deer elk fish halibut hovercraft moose offspring reindeer salmon series sheep shrimp spacecraft
    species squid swine trout tuna watercraft
    """
)
_HISSING = ("s", "x", "z", "ch", "sh")


@cache
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
    """Return the plural of one English noun by irregular forms, endings, then the rules."""
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
