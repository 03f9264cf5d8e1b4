"""What WordNet says of parts and manner: inherited downwards, denied with care, and never told of what is drawn."""

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

from taxbench.cli.pocket import command
from taxbench.pocket.concepts import CONCEPTS
from taxbench.pocket.train.corpus import Corpus
from taxbench.pocket.train.evaluate import property_pairs
from taxbench.pocket.train.lm import Trainer, adding_settings, train_lm
from taxbench.pocket.train.lm_batches import BatchShape
from taxbench.pocket.train.lm_model import build_model
from taxbench.pocket.train.lm_rows import Phrasebook
from taxbench.pocket.train.part_rows import _DIRECT, _NEGATED, _SUBJECTS, PartBatches, PartRows
from taxbench.pocket.train.tokenizer import save_tokenizer
from taxbench.pocket.train.traits import Trait, Traits
from taxbench.pocket.train.wordnet_parts import TABLE, Parts, _table, read_parts
from taxbench.protocol.words import plural, with_article
from taxbench.taxonomy.wordnet import Nouns, table_lines
from taxbench.util.errors import TrainingError
from tests.pocket.conftest import WEIGHTS, part_of

Bare = list[tuple[int, str, bool]]
SHAPE = BatchShape(40, 8, 48, 256)
DEBIAN = Path("/usr/share/wordnet")
HAD = ["wing", "feather", "tail", "fin", "leg", "head", "face", "wheel", "sleeve", "beak", "wood", "fur", "aircraft"]


@pytest.fixture(scope="module")
def nouns(wordnet: Nouns) -> Nouns:
    return part_of(wordnet, HAD)


@pytest.fixture(scope="module")
def corpus(nouns: Nouns) -> Corpus:
    return Corpus(nouns)


@pytest.fixture(scope="module")
def parts(nouns: Nouns) -> Parts:
    return read_parts(nouns)


@pytest.fixture(scope="module")
def traits(corpus: Corpus, parts: Parts) -> Traits:
    return Traits(corpus, parts)


@pytest.fixture(scope="module")
def batches(corpus: Corpus, book: Phrasebook) -> PartBatches:
    return PartBatches(corpus, book, SHAPE, 0)


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, corpus: Corpus, batches: PartBatches, book: Phrasebook) -> Bare:
    """Return names with what is asked of each, and the answers: of contexts that are a bare name."""
    monkeypatch.setattr(PartRows, "_context", lambda self, shown: (self._book.names[shown.name], (shown,)))
    rows = [row for step in range(25) for row in batches.rows(step, 10**6)[: SHAPE.question_rows]]
    return [
        (corpus.name_id[book.decode(row.context)], book.decode(ids), answer)
        for row in rows
        if book.decode(row.context) in corpus.name_id
        for ids, answer in zip(row.segments, row.answers, strict=True)
    ]


def _named(traits: Traits, statement: str) -> Trait:
    (found,) = [trait for trait in traits.all if trait.statement == statement]
    return found


def _said(traits: Traits, key: str) -> set[str]:
    synset = traits._corpus.nouns.position(key)
    kinds = ("part", "material", "manner", "adjective")
    return {trait.statement for kind in kinds for trait in traits.of(synset, kind)[0]}


def test_the_table_is_what_wordnet_says() -> None:
    if not (DEBIAN / "data.adj").is_file():
        pytest.skip("WordNet is not installed: apt-get install wordnet-base")
    assert [*_table(DEBIAN)] == [*table_lines(TABLE)]
    assert TABLE.stat().st_size < 100_000


def test_meronyms_are_all_there(wordnet: Nouns) -> None:
    parts = read_parts(wordnet)
    assert sum(map(len, parts.parts.values())) == 9097
    assert sum(map(len, parts.substances.values())) == 797
    assert wordnet.position("wing.n.01") in parts.parts[wordnet.position("bird.n.01")]
    assert {("winged", "has", "wings"), ("wingless", "lacks", "wings"), ("wooden", "of", "wood")} < {*parts.adjectives}


@pytest.mark.parametrize(
    ("key", "has", "lacks"),
    [
        (
            "sparrow.n.01",
            {"has a wing", "has a beak", "has a tail", "has a face", "is alive"},
            {"has a fin", "is man-made"},
        ),
        ("salmon.n.01", {"has a fin", "has a tail", "is alive"}, {"has a feather", "has a wing"}),
        ("truck.n.01", {"has a wheel", "is man-made"}, {"has a wing", "is alive"}),
        ("jacket.n.01", {"has a sleeve", "is man-made"}, {"has a wheel", "is alive"}),
    ],
)
def test_what_a_kind_has_its_kinds_have(traits: Traits, key: str, has: set[str], lacks: set[str]) -> None:
    assert has <= _said(traits, key)
    assert not lacks & _said(traits, key)


def test_an_adjective_is_of_the_part_in_its_definition(traits: Traits) -> None:
    wing = _named(traits, "has a wing")
    assert "Is {it} winged?" in wing.questions and "Is {it} wingless?" in wing.reversed
    assert not any("flightless" in text for text in wing.reversed)  # defined by flying


def test_a_definition_says_what_a_thing_is_made_of(corpus: Corpus, traits: Traits) -> None:
    told = {(corpus.nouns.synsets[whole].key, corpus.nouns.synsets[of].key) for whole, of in traits._made_of()}
    assert {("crate.n.01", "wood.n.01"), ("dixie_cup.n.01", "paper.n.01"), ("glassware.n.01", "glass.n.01")} <= told


def test_a_feather_of_the_wing_of_a_bird_is_none_of_an_insect(traits: Traits) -> None:
    assert "has a wing" in _said(traits, "ant.n.01")
    assert "has a feather" not in _said(traits, "ant.n.01")


@pytest.mark.parametrize(
    ("name", "statement", "may"),
    [
        ("sparrow", "has a wheel", True),
        ("sparrow", "has a wing", False),  # it has
        ("vertebrate", "has a wing", False),  # some have
        ("truck", "has a feather", True),
        ("mouse", "has a wheel", False),  # one that lies on a desk might
        ("rowboat", "has a wheel", False),  # other vehicles have
        ("truck", "is something that can fly", True),  # a vehicle that is no aircraft
        ("sparrow", "is something that can fly", False),  # the definition is of vehicles
        ("truck", "is alive", True),
        ("sparrow", "is edible", True),
        ("tuna", "is edible", False),  # is food in another meaning
        ("stool", "is made of wood", False),  # WordNet does not say what it is made of
        ("sparrow", "is made of wood", True),
    ],
)  # fmt: skip
def test_denied_is_only_what_wordnet_rules_out(
    corpus: Corpus, traits: Traits, name: str, statement: str, may: bool
) -> None:
    assert traits.may_deny(corpus.name_id[name], _named(traits, statement)) is may


def test_what_a_thing_has_by_a_category_held_out_for_it_is_not_asked(
    corpus: Corpus, traits: Traits, batches: PartBatches, bare: Bare
) -> None:
    wing, held_out = _named(traits, "has a wing"), set[int]()
    bird = corpus.nouns.position("bird.n.01")
    for name in corpus.ranked.tolist():
        meant = {synset for synset, _ in corpus.sense_weights[name]}
        if all(bird in (synset, *corpus.ancestors[synset]) for synset in meant):
            assert any(traits.is_held_out(name, synset, wing) for synset in meant) is corpus.is_unasked(
                name, corpus.name_id["bird"]
            )
            held_out |= {name} if corpus.is_unasked(name, corpus.name_id["bird"]) else set()
    assert len(held_out) > 10
    asked = {text.format(it=it).lower() for text in (*wing.questions, *wing.reversed) for it in _SUBJECTS}
    assert not {name for name, text, _ in bare if text in asked} & held_out


def test_no_row_says_anything_that_is_drawn(batches: PartBatches, book: Phrasebook) -> None:
    drawn = {form for concept in CONCEPTS for form in (concept.name, plural(concept.name))}
    for step in range(12):
        for row in batches.rows(step, 10**6):
            for ids in (row.context, *row.segments):
                assert not drawn & set(re.findall(r"\w+", book.decode(ids))), book.decode(ids)


def test_answers_are_wordnets_and_reversed_questions_turn_them_round(
    corpus: Corpus, batches: PartBatches, bare: Bare
) -> None:
    traits, asked, seen = batches._traits, dict[str, list[tuple[Trait, bool]]](), Counter[tuple[str, bool, bool]]()
    for trait in traits.all:
        for is_reversed, texts in enumerate((trait.questions, trait.reversed)):
            for text in (text.format(it=it).lower() for text in texts for it in _SUBJECTS):
                asked.setdefault(text, []).append((trait, bool(is_reversed)))
    for name, text, answer in bare:
        if len(asked.get(text, ())) == 1:  # "is it without glass?" may be of a part, or of a material
            ((trait, is_reversed),) = asked[text]
            if answer ^ is_reversed:
                assert any(trait in traits.of(synset, trait.kind)[0] for synset, _ in corpus.sense_weights[name])
            else:
                assert traits.may_deny(name, trait)
            seen[trait.kind, is_reversed, answer] += 1
    for kind in ("part", "manner", "adjective"):
        counts = [seen[kind, is_reversed, answer] for is_reversed in (False, True) for answer in (False, True)]
        assert min(counts) > 0.12 * sum(counts) > 5, (kind, counts)


def test_names_and_hypernyms_are_negated_too_and_held_out_pairs_are_not_asked(corpus: Corpus, bare: Bare) -> None:
    asked, seen = dict[str, tuple[int, bool]](), Counter[tuple[bool, bool]]()
    for term, name in enumerate(corpus.names):
        for turned, texts in enumerate((_DIRECT, _NEGATED)):
            for text in (text.format(term=name, a_term=with_article(name)) for text in texts):
                asked |= {text.format(it=it).lower(): (term, bool(turned)) for it in _SUBJECTS}
    for name, text, answer in bare:
        if text in asked:
            term, turned = asked[text]
            if answer ^ turned:
                assert name == term or (corpus.is_true(name, term) and not corpus.is_unasked(name, term))
            else:
                assert corpus.is_wrong(name, term) and not corpus.is_unasked_wrong(name, term)
            seen[turned, answer] += 1
    assert min(seen.values()) > 50 and len(seen) == 4


def test_no_question_of_the_property_tasks_is_asked(batches: PartBatches) -> None:
    wordings = {pair.term.lower() for pairs in property_pairs().values() for kind in pairs for pair in kind}
    assert len(wordings) > 40
    asked = [text for trait in batches._traits.all for text in (*trait.questions, *trait.reversed)]
    assert not wordings & {text.format(it=it).lower() for text in asked for it in _SUBJECTS}
    assert not any(wording.startswith(f"is {it} ") for wording in wordings for it in _SUBJECTS)


def test_reversed_wordings_have_the_other_answer() -> None:
    for direct, against in property_pairs().values():
        one, other = ({(pair.context, pair.is_yes) for pair in pairs} for pairs in (direct, against))
        assert one == {(name, not yes) for name, yes in other}


def test_rows_are_a_function_of_seed_and_step(corpus: Corpus, book: Phrasebook, batches: PartBatches) -> None:
    assert batches.rows(3, 10**6) == PartBatches(corpus, book, SHAPE, 0).rows(3, 10**6) != batches.rows(4, 10**6)


def test_two_steps_make_weights_of_the_same_size_that_load_as_any_other(corpus: Corpus, tmp_path: Path) -> None:
    settings = replace(adding_settings("", 2), compiled=False, question_rows=6, statement_rows=2, evaluate_every=100)
    train_lm(tmp_path, settings, corpus)
    assert AutoModelForCausalLM.from_pretrained(tmp_path).config.vocab_size == 12288
    assert (tmp_path / "tokenizer.json").read_bytes() == (WEIGHTS / "tokenizer.json").read_bytes()
    own, shipped = (folder / "model.safetensors" for folder in (tmp_path, WEIGHTS))
    assert own.stat().st_size == shipped.stat().st_size and own.read_bytes() != shipped.read_bytes()


def test_training_begins_with_the_known_weights(corpus: Corpus, tmp_path: Path) -> None:
    known = build_model(12288, 64, 1, 64)
    known.save_pretrained(tmp_path / "known")
    save_tokenizer(Tokenizer.from_file(str(WEIGHTS / "tokenizer.json")), tmp_path / "known")
    small = replace(adding_settings("", 1, str(tmp_path / "known")), compiled=False, width=64, depth=1, mlp=64)
    with pytest.raises(TrainingError, match="expected a folder that 'taxbench pocket train-lm' wrote"):
        Trainer(corpus, tmp_path / "new", replace(small, known="Qwen/Qwen3-0.6B"))
    trainer = Trainer(corpus, tmp_path / "out", small)
    for name, value in trainer.model.state_dict().items():
        assert torch.equal(value, known.state_dict()[name]), name


def test_a_language_and_parts_are_added_one_at_a_time(tmp_path: Path) -> None:
    done = CliRunner().invoke(command, ["train-lm", str(tmp_path), "--parts", "--language", "de"])
    assert done.exit_code == 2 and "--language and --parts: expected one of them" in done.output
