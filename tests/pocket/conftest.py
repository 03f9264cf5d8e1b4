"""A tenth of WordNet, the shipped tokenizer's phrases of it, and one drawn picture of each concept."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path

import pytest
from tokenizers import Tokenizer

import taxbench.pocket
from taxbench.pocket.train.corpus import Corpus
from taxbench.pocket.train.encoder import render_pool
from taxbench.pocket.train.lm_rows import Phrasebook
from taxbench.taxonomy.wordnet import Nouns

WEIGHTS = Path(taxbench.pocket.__file__).parent / "weights" / "wordnet-lm"
GROUPS = ["bird.n.01", "fish.n.01", "rodent.n.01", "dog.n.01", "insect.n.01", "fruit.n.01", "vegetable.n.01"]
GROUPS += ["furniture.n.01", "vehicle.n.01", "container.n.01", "garment.n.01", "tool.n.01", "musical_instrument.n.01"]
NEEDED = [
    "electronic_device.n.01",
    "giraffe.n.01",
    "person.n.01",
    "causal_agent.n.01",
    "process.n.06",
    "location.n.01",
    "matter.n.03",
]
NEEDED += [
    "artifact.n.01",
    "trouser.n.01",
    "taxonomic_group.n.01",
    "wheeled_vehicle.n.01",
    "tarsier.n.01",
    "corvus.n.01",
]


def part_of(nouns: Nouns, more: Iterable[str] = ()) -> Nouns:
    """Keep all meanings of some names and those of some groups, with everything above: a tenth of WordNet is quick."""
    above: list[set[int]] = []
    for synset in nouns.synsets:  # data.noun lists a category before its kinds, nearly always
        parents = (*synset.hypernyms, *synset.instance_of)
        above.append({*parents, *(far for near in parents if near < len(above) for far in above[near])})
    roots = {nouns.position(key) for key in GROUPS}
    names = {lemma.lower() for index, up in enumerate(above) if roots & up for lemma in nouns.synsets[index].lemmas}
    names |= {key.split(".")[0].replace("_", " ") for key in (*GROUPS, *NEEDED)} | set(more)
    kept, todo = set(), [index for name in names for index in nouns.senses[name]]
    while todo:
        index = todo.pop()
        if index not in kept:
            kept.add(index)
            todo += [*nouns.synsets[index].hypernyms, *nouns.synsets[index].instance_of]
    new = {old: place for place, old in enumerate(sorted(kept))}
    synsets = [
        dataclasses.replace(
            nouns.synsets[old],
            hypernyms=tuple(new[parent] for parent in nouns.synsets[old].hypernyms),
            instance_of=tuple(new[parent] for parent in nouns.synsets[old].instance_of),
        )
        for old in new
    ]
    senses = {name: tuple(new[old] for old in found if old in new) for name, found in nouns.senses.items()}
    senses = {name: found for name, found in senses.items() if found}
    return Nouns(tuple(synsets), senses, nouns.other_uses, nouns.in_glosses)


@pytest.fixture(scope="package")
def corpus(wordnet: Nouns) -> Corpus:
    return Corpus(part_of(wordnet))


@pytest.fixture(scope="module")
def book(corpus: Corpus) -> Phrasebook:
    return Phrasebook(corpus, Tokenizer.from_file(str(WEIGHTS / "tokenizer.json")))


@pytest.fixture(scope="package")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the pictures that tiny trainings see."""
    folder = tmp_path_factory.mktemp("pool")
    render_pool(folder, per_concept=1, seed=9)
    return folder
