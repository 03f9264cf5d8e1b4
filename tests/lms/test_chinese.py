"""Chinese through every way of asking: no blanks, fullwidth marks, tokenizers that split a character into bytes."""

import pytest
import torch

from taxbench.datasets.dataset import load_dataset
from taxbench.lms.frozen import FrozenLM
from taxbench.lms.question_scorer import QuestionScorer
from taxbench.protocol.protocol import Protocol
from taxbench.protocol.term_texts import TermTexts
from taxbench.specs.language_pair import LanguagePair
from taxbench.specs.task import PromptSpec
from taxbench.tasks.registry import find_tasks
from taxbench.util.errors import ModelError
from tests.conftest import save_tiny_lm
from tests.lms.naive import load, naive_margins, some_soft_tokens

TERMS = torch.tensor([[0, 1, 2], [3, 1, -1]])


@pytest.fixture(scope="module")
def texts() -> TermTexts:
    task = find_tasks(names=["unseen_hypernym"]).tasks["unseen_hypernym"]
    return Protocol(task.in_languages(LanguagePair(test="zh")), load_dataset("pocket"), 0).asked_texts


@pytest.fixture(scope="module", params=["llama", "gemma3", "gpt2"])
def lm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> FrozenLM:
    return load(save_tiny_lm(request.param, tmp_path_factory.mktemp("lm") / request.param))


def scorer_of(lm: FrozenLM, texts: TermTexts, frame: str, form: str = "bare") -> QuestionScorer:
    prompt = PromptSpec(frame=frame, answer_form=form)  # type: ignore[arg-type]
    return QuestionScorer.of(lm, texts.questions[:4], texts.answers, "image_first", prompt, texts.frames)


@pytest.mark.parametrize("frame", ["raw", "plain", "caption", "qa"])
@pytest.mark.parametrize("form", ["bare", "blank"])
def test_packed_answers_are_those_of_the_plain_model(lm: FrozenLM, texts: TermTexts, frame: str, form: str) -> None:
    scorer = scorer_of(lm, texts, frame, form)
    assert (scorer.path, scorer.note) == ("packed", None)
    soft = some_soft_tokens(lm, 2, 2)
    found, expected = scorer.margins(soft, TERMS), naive_margins(scorer, soft, TERMS)
    torch.testing.assert_close(found[TERMS >= 0], expected[TERMS >= 0], atol=1e-4, rtol=0)


def test_a_row_is_the_text_as_transformers_tokenises_it(lm: FrozenLM, texts: TermTexts) -> None:
    """Written out by hand: the tokens of the whole text, and each answer's log p by the model's own forward."""
    scorer, soft = scorer_of(lm, texts, "caption"), some_soft_tokens(lm, 1, 2)

    def ids(text: str) -> list[int]:
        return list(lm.tokenizer(text, add_special_tokens=False)["input_ids"])

    after = f"。{texts.questions[0]}答案："
    odds = []
    for answers in texts.answers:
        scores = []
        for answer in answers:
            said = ids(after + answer)[len(ids(after)) :]
            assert len(said) == len(answer.encode())  # every character is split into its bytes
            before = torch.tensor(lm.bos() + ids("这张图片里有"))
            row = torch.cat([lm.embed(before), soft[0], lm.embed(torch.tensor(ids(after) + said[:-1]))])
            logits = lm.model(inputs_embeds=row[None], use_cache=False).logits[0].log_softmax(-1)
            scores.append(logits[-len(said) :][torch.arange(len(said)), said].sum())
        odds.append(torch.stack(scores).logsumexp(0))
    expected = (odds[0] - odds[1]).item()
    assert scorer.margins(soft, torch.tensor([[0]])).item() == pytest.approx(expected, abs=1e-4)


def test_a_name_is_said_without_blanks(lm: FrozenLM, texts: TermTexts) -> None:
    for frame in ("raw", "plain", "caption", "qa"):
        said = lm.tokenizer.decode(scorer_of(lm, texts, frame).said(texts.names[0], texts.phrases[0]))
        assert said == texts.names[0]


def test_a_chat_asks_for_the_answers_of_the_language(lm: FrozenLM, texts: TermTexts) -> None:
    lm.tokenizer.chat_template = "{% for m in messages %}<{{ m['content'] }}>{% endfor %}"
    try:
        frame = scorer_of(lm, texts, "chat").frame
    finally:
        lm.tokenizer.chat_template = None
    assert (frame.before, frame.after) == ("<这张图片里有", "请回答有或没有。>")


def test_a_frame_with_the_question_first_is_refused_in_one_sentence(lm: FrozenLM, texts: TermTexts) -> None:
    prompt = PromptSpec(frame="qa")
    with pytest.raises(ModelError, match="has the image first in this language"):
        QuestionScorer.of(lm, texts.questions[:4], texts.answers, "question_first", prompt, texts.frames)
    raw = QuestionScorer.of(lm, texts.questions[:4], texts.answers, "question_first", PromptSpec(), texts.frames)
    soft = some_soft_tokens(lm, 2, 2)
    found, expected = raw.margins(soft, TERMS), naive_margins(raw, soft, TERMS, True)
    torch.testing.assert_close(found[TERMS >= 0], expected[TERMS >= 0], atol=1e-4, rtol=0)
