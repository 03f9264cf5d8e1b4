"""A second language for the text-only LM: words as tokens, and nothing that would give the answer away."""

import dataclasses
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, LlamaForCausalLM

from taxbench.pocket.concepts import CATEGORIES
from taxbench.pocket.train.corpus import Corpus
from taxbench.pocket.train.lm import adding_settings, copy_grown, train_lm
from taxbench.pocket.train.lm_batches import BatchShape
from taxbench.pocket.train.lm_model import build_model
from taxbench.pocket.train.lm_rows import Phrasebook
from taxbench.pocket.train.second_language import SecondLanguage, SecondLanguageBatches, with_words_of
from taxbench.protocol.words import plural
from taxbench.specs.language import Language
from taxbench.tasks.language_files import find_language
from taxbench.util.errors import TrainingError
from tests.pocket.conftest import WEIGHTS

SHAPE = BatchShape(40, 8, 48, 256)


@pytest.fixture(scope="module")
def german() -> Language:
    return find_language("de")


@pytest.fixture(scope="module")
def tokenizer(german: Language) -> Tokenizer:
    return with_words_of(german, WEIGHTS)[0]


@pytest.fixture(scope="module")
def batches(corpus: Corpus, german: Language, tokenizer: Tokenizer) -> SecondLanguageBatches:
    book = Phrasebook(corpus, tokenizer)
    return SecondLanguageBatches(corpus, book, SHAPE, 0, SecondLanguage(german, corpus, book))


@pytest.mark.parametrize("code", ["de", "fr", "es", "zh"])
def test_words_and_answers_become_one_token_each(code: str) -> None:
    language = find_language(code)
    grown, joined = with_words_of(language, WEIGHTS)
    words = {word for label in language.labels.values() for word in label.phrase.split() if word.isalpha()}
    words |= {*language.answers.positive, *language.answers.negative}
    assert {word for word in words if len(grown.encode(f" {word}", add_special_tokens=False).ids) != 1} == set()
    assert grown.get_vocab_size() == Tokenizer.from_file(str(WEIGHTS / "tokenizer.json")).get_vocab_size() + len(joined)


def test_english_questions_keep_their_tokens(tokenizer: Tokenizer) -> None:
    own = Tokenizer.from_file(str(WEIGHTS / "tokenizer.json"))
    names = [name for category in CATEGORIES for name in (category.name, *category.members)]
    asked = [f"Is there a {name} in this image?" for name in names]
    moved = {
        name for name, text in zip(names, asked, strict=True) if own.encode(text).ids != tokenizer.encode(text).ids
    }
    assert moved <= {"flamingo", "giraffe", "gondola"}  # which are spelt alike, or begin so, in both languages


def test_a_new_token_begins_as_the_mean_of_its_pieces(german: Language, tokenizer: Tokenizer) -> None:
    known = LlamaForCausalLM.from_pretrained(WEIGHTS, dtype=torch.float32)
    _, joined = with_words_of(german, WEIGHTS)
    model = build_model(tokenizer.get_vocab_size(), 256, 4, 704)
    copy_grown(model, known, joined)
    table, first = model.get_input_embeddings().weight, known.config.vocab_size
    torch.testing.assert_close(table[first], (table[joined[0][0]] + table[joined[0][1]]) / 2)
    ids = torch.tensor([tokenizer.encode("Is there a bird in this image?").ids])
    with torch.no_grad():
        torch.testing.assert_close(model(ids).logits[..., :first], known(ids).logits)


def test_what_is_drawn_never_stands_with_a_hypernym_of_the_language(
    corpus: Corpus, batches: SecondLanguageBatches, german: Language, tokenizer: Tokenizer
) -> None:
    names = {name for category in CATEGORIES for name in category.members}
    above = {name for category in CATEGORIES for name in (category.name, *category.parents)}
    drawn = names | {plural(name) for name in names}
    asked = {german.labels[name].term: tokenizer.encode(f" {german.labels[name].term}", add_special_tokens=False).ids[0]
             for name in above}  # fmt: skip
    own = {german.labels[name].term.lower() for name in names}
    met = 0
    for step in range(20):
        for row in batches.rows(step, 10**6)[: SHAPE.question_rows]:
            for segment in row.segments:
                if set(segment) & set(asked.values()):
                    met += 1
                    assert not set(tokenizer.decode(row.context).split()) & (drawn | own)
    assert met > 100


def test_answers_follow_the_taxonomy(corpus: Corpus, batches: SecondLanguageBatches, german: Language) -> None:
    terms = {german.templates.presence.format(a_term=label.phrase, term=label.term).lower(): name
             for name, label in german.labels.items()}  # fmt: skip
    book, right = batches._book, list[bool]()
    spelt = {tuple(book.encode(text)): name for text, name in terms.items()}
    for step in range(20):
        for row in batches.rows(step, 10**6)[: SHAPE.question_rows]:
            said = book.decode(row.context)
            for segment, yes in zip(row.segments, row.answers, strict=True):
                term = spelt[tuple(segment)]
                if said in corpus.name_id and term in corpus.name_id and said not in german.labels:
                    pair = corpus.name_id[said], corpus.name_id[term]
                    right.append(corpus.is_true(*pair) if yes else corpus.is_wrong(*pair))
    assert len(right) > 100
    assert sum(right) >= 0.98 * len(right)  # a piece of a definition may look like a name


def test_rows_are_a_function_of_seed_and_step(batches: SecondLanguageBatches) -> None:
    assert batches.rows(3, 10**6) == batches.rows(3, 10**6) != batches.rows(4, 10**6)


def test_a_language_without_a_word_for_what_is_drawn_is_refused(
    corpus: Corpus, german: Language, tokenizer: Tokenizer
) -> None:
    labels = {name: label for name, label in german.labels.items() if name not in ("owl", "bird")}
    less = german.model_copy(update={"labels": labels})
    with pytest.raises(TrainingError, match="'de' has no reviewed label for owl, bird"):
        SecondLanguage(less, corpus, Phrasebook(corpus, tokenizer))


def test_two_steps_make_weights_that_load_as_any_other(corpus: Corpus, tmp_path: Path) -> None:
    settings = adding_settings("de", 2)
    small = dataclasses.replace(settings, compiled=False, question_rows=6, statement_rows=2, evaluate_every=100)
    train_lm(tmp_path, small, corpus)
    model = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert model.config.vocab_size > 12288
    assert (tmp_path / "model.safetensors").stat().st_size < 20e6
