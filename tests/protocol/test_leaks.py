"""The leak guard: the same question, the same noun, the same meaning, and nothing else."""

import pytest

from taxbench.protocol.leaks import find_leaks, lemmas, synonyms


def kinds(leaves: list[str], hypernyms: list[str]) -> dict[tuple[str, str], str]:
    def ask(terms: list[str]) -> dict[str, str]:
        return {term: f"Is there {term} in this image?" for term in terms}

    return {(leak.leaf, leak.hypernym): leak.kind for leak in find_leaks(ask(leaves), ask(hypernyms))}


@pytest.mark.parametrize(
    ("leaf", "hypernym", "kind"),
    [
        ("bird", "bird", "exact"),
        ("Bird", "bird", "exact"),
        ("birds", "bird", "lemma"),
        ("fishes", "fish", "lemma"),
        ("fish", "fishes", "lemma"),
        ("kitchen_tool", "kitchen tool", "lemma"),
        ("t shirt", "t-shirt", "lemma"),
        ("jewelry", "piece of jewelry", "lemma"),
        ("clothing", "item of clothing", "lemma"),
        ("automobile", "car", "synonym"),
        ("beverage", "drink", "synonym"),
        ("drink", "beverage", "synonym"),
        ("autos", "car", "synonym"),
        ("lighting", "source of light", None),  # WordNet knows no such meaning in common: the guard's limit
        ("birdcage", "bird", None),
        ("bird feeder", "bird", None),
        ("skirt", "bird", None),  # both may mean a young woman, and neither usually does
        ("crow", "bird", None),
        ("bra", "brass", None),
        ("dam", "bird", None),  # "dame", which slang has for a girl as it has "bird", is no dam
    ],
)
def test_a_leak_is_named_with_its_reason(leaf: str, hypernym: str, kind: str | None) -> None:
    assert kinds([leaf, "unrelated"], ["other", hypernym]) == ({(leaf, hypernym): kind} if kind else {})


def test_singular_and_plural_have_a_lemma_in_common() -> None:
    for one, many in (("knife", "knives"), ("mouse", "mice"), ("goldfish", "goldfish"), ("fruit", "fruits")):
        assert lemmas(one) & lemmas(many)


def test_synonyms_do_not_hold_the_term_itself() -> None:
    assert {"auto", "motorcar"} <= synonyms("Car") and "car" not in synonyms("Car")
    assert synonyms("no such noun") == frozenset()
