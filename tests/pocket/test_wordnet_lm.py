"""The text-only LM: honest training rows, a forward pass that is Llama's, and weights that know what a crow is."""

import dataclasses
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from taxbench.lms.frozen import FrozenLM, load_lm, random_twin
from taxbench.pocket.train.corpus import Corpus
from taxbench.pocket.train.evaluate import Pair, margins, score, taxonomy_pairs
from taxbench.pocket.train.lm import Settings, Trainer, train_lm
from taxbench.pocket.train.lm_batches import BatchMaker, BatchShape
from taxbench.pocket.train.lm_model import block_mask, build_model, hidden_states, layers_of
from taxbench.pocket.train.lm_rows import Phrasebook, TrainingRow, answer_places, lay_out
from taxbench.pocket.train.reading_questions import TEMPLATE, TRAINING_TEMPLATES, Sampler, render
from taxbench.registry.models import find_lm
from tests.pocket.conftest import WEIGHTS

# A sample a person can check; none of it was chosen by looking at the model's answers.
KNOWN = {
    "crow": ["bird", "animal"],
    "owl": ["bird", "animal"],
    "dog": ["mammal", "animal"],
    "horse": ["mammal", "animal"],
    "bee": ["insect", "animal"],
    "ant": ["insect", "animal"],
    "salmon": ["fish", "animal"],
    "shark": ["fish", "animal"],
    "apple": ["fruit"],
    "banana": ["fruit"],
    "carrot": ["vegetable"],
    "onion": ["vegetable"],
    "car": ["vehicle"],
    "bus": ["vehicle"],
    "chair": ["furniture"],
    "bed": ["furniture"],
    "hammer": ["tool"],
    "rake": ["tool"],
    "guitar": ["musical instrument"],
    "piano": ["musical instrument"],
    "shirt": ["clothing"],
    "coat": ["clothing"],
    "bottle": ["container"],
    "bucket": ["container"],
}


@pytest.fixture(scope="module")
def shipped() -> FrozenLM:
    return load_lm(find_lm("pocket"), torch.device("cpu"), torch.float32)


def _sampler(corpus: Corpus, seed: int = 0) -> Sampler:
    return Sampler(corpus, Random(seed), pool=3000)


def test_held_out_pairs_are_never_asked(corpus: Corpus) -> None:
    sampler = _sampler(corpus)
    asked = [(shown.name, sampler.question(shown)) for shown in (sampler.thing() for _ in range(8000))]
    yes = [(name, question.term) for name, question in asked if question and question.is_yes and question.term != name]
    no = [(name, question.term) for name, question in asked if question and not question.is_yes]
    assert len(yes) > 2000 and len(no) > 2000
    assert not any(corpus.is_unasked(name, term) for name, term in yes)
    assert not any(corpus.is_unasked_wrong(name, term) for name, term in no)


def test_unseen_pairs_are_never_stated(corpus: Corpus, book: Phrasebook) -> None:
    maker = BatchMaker(corpus, book, BatchShape(0, 1, 48, 8), seed=3)
    kind_of, comma = book.encode("is a kind of"), book.encode(",")[0]
    name_of = {tuple(book.with_article(int(name))): int(name) for name in corpus.ranked[:3000]}
    term_of = {tuple(ids): term for term, ids in enumerate(book.names)}
    checked = 0
    for step in range(1200):
        for ids in maker.rows(step, pool=3000)[0].segments:
            at = next((i for i in range(len(ids)) if ids[i : i + len(kind_of)] == kind_of), None)
            if at is None or tuple(ids[:at]) not in name_of:
                continue
            stated = [[]]
            for token in ids[at + len(kind_of) : -1]:
                stated.append([]) if token == comma else stated[-1].append(token)
            terms = [term_of[tuple(part)] for part in stated if tuple(part) in term_of]
            assert not any(corpus.is_unseen(name_of[tuple(ids[:at])], term) for term in terms)
            checked += len(terms)
    assert checked > 500


def test_both_kinds_of_held_out_pairs_are_there(corpus: Corpus) -> None:
    synsets = sorted(corpus.physical)
    unasked = sum(len(corpus.unasked[synset]) for synset in synsets)
    unseen = sum(len(corpus.unseen[synset]) for synset in synsets)
    total = sum(len(corpus.true_terms[synset]) for synset in synsets)
    assert 0.03 < unasked / total < 0.07
    assert 0.03 < unseen / total < 0.07


def test_answers_are_balanced(corpus: Corpus) -> None:
    sampler = _sampler(corpus, seed=1)
    drawn = [sampler.question(sampler.thing()) for _ in range(5000)]
    answers = [question.is_yes for question in drawn if question]
    assert 0.46 < np.mean(answers) < 0.56


def test_no_is_right_for_every_meaning(corpus: Corpus) -> None:
    mouse, device, animal = (corpus.name_id[word] for word in ("mouse", "electronic device", "animal"))
    assert not corpus.is_wrong(mouse, device)
    assert not corpus.is_wrong(mouse, animal)
    assert not corpus.is_wrong(animal, mouse), "an animal may be a mouse"
    assert corpus.is_wrong(mouse, corpus.name_id["furniture"])


def test_a_car_is_no_container(corpus: Corpus) -> None:
    assert corpus.is_wrong(corpus.name_id["car"], corpus.name_id["container"])


def test_plural_names_are_known(corpus: Corpus) -> None:
    assert corpus.is_true(corpus.name_id["trousers"], corpus.name_id["clothing"])


def test_everyday_names_come_first(corpus: Corpus) -> None:
    rank = {corpus.names[name]: index for index, name in enumerate(corpus.ranked.tolist())}
    assert rank["dog"] < rank["giraffe"] < rank["tarsier"]
    assert rank["car"] < 2000 and "corvus corax" not in rank


def test_questions_are_spelled_as_the_benchmark_spells_them(corpus: Corpus, book: Phrasebook) -> None:
    for number, template in enumerate(TRAINING_TEMPLATES):
        for term in corpus.ranked[::977].tolist():
            assert book.question(number, term) == book.encode(render(template, corpus.names[term]))


def test_tokens_do_not_depend_on_a_leading_space(book: Phrasebook) -> None:
    assert book.encode("Yes") == book.encode(" yes") == [book.yes]
    assert len({book.yes, book.no}) == 2
    text = "is there a musical instrument in this image?"
    assert book.decode(book.encode(text.title())) == text


def test_batches_are_a_function_of_seed_and_step(corpus: Corpus, book: Phrasebook) -> None:
    shape = BatchShape(question_rows=6, statement_rows=2, length=48, width=8)
    first, again = (BatchMaker(corpus, book, shape, seed=5).batch(7, 1000, 0.3) for _ in range(2))
    for field in dataclasses.fields(first):
        assert torch.equal(getattr(first, field.name), getattr(again, field.name)), field.name


def test_noise_falls_on_contexts_only(corpus: Corpus, book: Phrasebook) -> None:
    batch = BatchMaker(corpus, book, BatchShape(32, 4, 48, 8), seed=5).batch(0, 1000, 0.3)
    noisy = batch.noise.abs().sum(-1) > 0
    assert not (noisy & (batch.segment[:, 1 : 1 + noisy.shape[1]] != 0)).any()
    assert 0.2 < noisy.any(-1).float().mean() < 0.8


def test_lean_forward_is_llama(corpus: Corpus) -> None:
    torch.manual_seed(0)
    model = build_model(300, 128, 2, 160)
    rows = [TrainingRow([5, 6], [[7, 8, 9], [10, 11]], []), TrainingRow([12], [[13] * 4], [])]
    ids, segment, position = (torch.from_numpy(array) for array in lay_out(rows, 1, 8))
    table = model.get_input_embeddings().weight
    lean = hidden_states(table[ids], layers_of(model), segment, position) * model.model.norm.weight
    full = model.base_model(input_ids=ids, attention_mask=block_mask(segment), position_ids=position)
    assert torch.allclose(lean, full.last_hidden_state, atol=1e-5)


def test_a_tiny_run_resumes_saves_and_loads(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = Settings(
        steps=4, vocabulary=1024, width=64, depth=1, mlp=64, question_rows=4, statement_rows=1, compiled=False
    )
    step, steps = Trainer.train_step, list[int]()

    def counted(trainer: Trainer) -> tuple[float, float]:
        if len(steps) == 2 and trainer.step == 2:
            steps.append(-1)
            raise KeyboardInterrupt
        steps.append(trainer.step)
        return step(trainer)

    def interrupted(trainer: Trainer) -> tuple[float, float]:
        if trainer.step:
            raise KeyboardInterrupt
        return step(trainer)

    monkeypatch.setattr(Trainer, "train_step", counted)
    with pytest.raises(KeyboardInterrupt):
        train_lm(tmp_path, tiny, corpus)
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 2
    train_lm(tmp_path, tiny, corpus)
    assert steps == [0, 1, -1, 2, 3]
    assert not (tmp_path / "checkpoint.pt").exists()  # 78 MB in a folder that is named as a model
    assert AutoModelForCausalLM.from_pretrained(tmp_path).dtype == torch.bfloat16
    lm = load_lm(find_lm(str(tmp_path)), torch.device("cpu"), torch.float32)
    assert np.isfinite(margins(lm, [Pair("crow", "bird", True)])).all()
    train_lm(tmp_path, tiny, corpus)
    assert len(steps) == 5 and "already" in capsys.readouterr().out  # it is trained
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Trainer, "train_step", interrupted)
        train_lm(tmp_path, dataclasses.replace(tiny, seed=1, steps=2), corpus)
    assert not (tmp_path / "model.safetensors").exists()  # of other settings than those that are written
    train_lm(tmp_path, dataclasses.replace(tiny, seed=2, steps=1), corpus)
    assert steps[5:] == [0]  # other settings begin anew, whatever those before left


def test_shipped_weights_are_small_and_complete(shipped: FrozenLM) -> None:
    tokenizer = shipped.tokenizer
    assert (WEIGHTS / "model.safetensors").stat().st_size < 20_000_000
    candidates = [tokenizer(word, add_special_tokens=False)["input_ids"] for word in (" Yes", " No")]
    assert [len(ids) for ids in candidates] == [1, 1] and candidates[0] != candidates[1]
    assert tokenizer("crow")["input_ids"][0] == tokenizer.bos_token_id
    assert tokenizer.bos_token_id not in tokenizer("crow", add_special_tokens=False)["input_ids"]


def test_packed_questions_score_as_single_ones(shipped: FrozenLM) -> None:
    model, tokenizer = shipped.model, shipped.tokenizer
    pairs = [Pair("fire salamander", term, True) for term in ("amphibian", "bird", "animal", "tool")]
    context = tokenizer("fire salamander")["input_ids"]
    yes, no = (tokenizer(word, add_special_tokens=False)["input_ids"][0] for word in (" Yes", " No"))
    alone = []
    for pair in pairs:
        question = tokenizer(render(TEMPLATE, pair.term), add_special_tokens=False)["input_ids"]
        with torch.inference_mode():
            logits = model(torch.tensor([context + question])).logits[0, -1]
        alone.append(float(logits[yes] - logits[no]))
    assert np.allclose(margins(shipped, pairs), alone, atol=1e-3)


def test_shipped_weights_know_everyday_words(shipped: FrozenLM) -> None:
    pairs = taxonomy_pairs(KNOWN, seed=0)
    found = score(pairs, margins(shipped, pairs))
    assert found.macro_f1 > 0.85 and found.auroc > 0.9


def test_random_weights_know_nothing(shipped: FrozenLM) -> None:
    pairs = taxonomy_pairs(KNOWN, seed=0)
    assert score(pairs, margins(random_twin(shipped, seed=0), pairs)).macro_f1 < 0.65


def test_answer_places_are_the_last_tokens() -> None:
    assert answer_places([TrainingRow([5], [[7, 8], [9]], []), TrainingRow([], [[4]], [])], 6) == [3, 4, 7]
