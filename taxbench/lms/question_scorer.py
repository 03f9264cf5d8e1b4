"""A frozen LM and the questions of a vocabulary, asked in the fastest way that leaves its answers alone."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Literal

import torch
from torch import Tensor

from taxbench.lms.forward import (
    ACCELERATOR_CHUNK,
    CHUNK,
    Packed,
    Plain,
    QuestionTable,
    Slots,
    buckets,
    keep_opening,
    tokenise,
)
from taxbench.lms.frames import Frame, frame_of
from taxbench.lms.frozen import REFUSALS, FrozenLM, OutputLayer, text_tokens, to_float64
from taxbench.lms.question_first import QuestionFirst, keep_questions
from taxbench.lms.row_memory import RowShape, row_bytes
from taxbench.protocol.answer_tokens import Strings
from taxbench.specs.task import FRAMES, RAW, PromptSpec
from taxbench.util.errors import ModelError, first_line


def single(answers: tuple[Strings, Strings]) -> bool:
    """Say whether every answer is one token, so that logits at one place decide."""
    return all(len(string) == 1 for strings in answers for string in strings)


def read_states(slots: Slots, rows: Tensor) -> Tensor:
    """Return the hidden state at the last column of each question.  # → (b, q, d)"""
    return slots.texts[:, :, 0]


def read_tokens(output: OutputLayer, answers: tuple[Strings, Strings], slots: Slots, rows: Tensor) -> Tensor:
    """Return the logits of answers of one token each where they are read: at the last column.  # → (b, q, strings)"""
    return output.logits_of(slots.texts[:, :, 0], [token for strings in answers for (token,) in strings])


def read_strings(output: OutputLayer, answers: tuple[Strings, Strings], slots: Slots, rows: Tensor) -> Tensor:
    """Return the log p of answers of several tokens, each the sum over its tokens.

    Args:
        slots: Of each question followed by each answer, as many columns as the longest answer has tokens.

    Returns:
        One for each answer, the positive ones first.  # (b, q, strings)
    """
    strings = answers[0] + answers[1]
    b, _, longest, _ = slots.texts.shape
    hidden = slots.texts.reshape(b, -1, len(strings), *slots.texts.shape[2:])  # (b, q, strings, tokens, d)
    targets = torch.tensor([(0,) * (longest - len(string)) + string for string in strings], device=hidden.device)
    there = torch.tensor([[column >= longest - len(string) for column in range(longest)] for string in strings])
    nll = output.nll(hidden, targets.expand(hidden.shape[:-1]))  # (b, q, strings, tokens)
    return -torch.where(there.to(hidden.device), nll, 0.0).sum(-1)


def read_texts(output: OutputLayer, table: QuestionTable, slots: Slots, rows: Tensor) -> Tensor:
    """Return the mean −log p over the tokens of questions and of their right answers.

    Args:
        slots: Of the prefix and of all columns of the questions.
        table: Questions, each followed by all but the last token of the first positive, then of the first negative
            answer.
        rows: Which texts of it; −1 for none.  # (b, q)

    Returns:
        The losses.  # (b, q)
    """
    prefix, texts = slots.prefix, slots.texts
    (b, q, width), s = texts.shape[:3], len(table.stem)
    safe = rows.clamp(min=0)
    ids, used = table.ids[safe][:, :, -width:], table.used[safe][:, :, -width:]
    ends = torch.tensor([strings[0][-1] for strings in table.answers], device=ids.device)[safe % 2]  # (b, q)
    targets = torch.cat([ids, ends[..., None]], dim=2)  # (b, q, w + 1)
    counts = torch.cat([used, torch.ones_like(used[:, :, :1])], dim=2)
    # What predicts a token is the state before it; before a question's first token that is the end of the prefix.
    first = used & (used.cumsum(-1) == 1)
    before = torch.cat([prefix[:, None, -1:].expand(b, q, 1, -1), texts[:, :, :-1]], dim=2)
    before = torch.where(first[..., None], prefix[:, None, -1:], before)
    nll = output.nll(torch.cat([before, texts[:, :, -1:]], dim=2), targets)
    total = torch.where(counts, nll, 0.0).sum(-1)  # (b, q)
    p = prefix.shape[1]
    stem = output.nll(prefix[:, p - s - 1 : p - 1], table.stem.expand(b, s)).sum(-1)  # (b,)
    return (total + stem[:, None]) / (counts.sum(-1) + s)


def compare(scores: Tensor, positive: int) -> Tensor:
    """Return log Σ exp(first `positive` scores) − log Σ exp(the others).  # (..., n) → (...)"""
    if scores.shape[-1] == 2:
        return scores[..., 0] - scores[..., 1]
    fine = to_float64(scores)
    return (fine[..., :positive].logsumexp(-1) - fine[..., positive:].logsumexp(-1)).to(scores.dtype)


Margins = Callable[[Tensor, Tensor], Tensor]
"""A way of asking.  # (b, k, d), (b, q) → (b, q)"""


@dataclass(frozen=True, slots=True)
class EquivalenceCheck:
    """Two questions about four random images, and what the model itself answers.

    How far rounding alone moves an answer depends on the model and the number type, so that is measured: the model
    itself again, with soft tokens that differ in their last bits; half a step of the logits at least, on which all
    margins may happen to stay. Packing moved answers at most 1.3 times as far in bfloat16 for models that can be
    packed, 6 to 12 times under ALiBi, 30 times and more where logits are rescaled. (A fixed tolerance refused a Llama
    of 1 B parameters in bfloat16 on a GPU.)
    """

    soft_tokens: Tensor  # (4, 2, d)
    terms: Tensor  # (4, 2)
    expected: Tensor  # (4, 2)
    rounding: float

    @torch.inference_mode()
    def problem(self, margins: Margins) -> str | None:
        """Say how a way of asking fails, or nothing."""
        try:
            found = margins(self.soft_tokens, self.terms)
        except torch.OutOfMemoryError:
            raise
        except REFUSALS as error:
            return first_line(error)
        moved = _distance(found, self.expected)
        if moved <= max(3 * self.rounding, 1e-4):  # `not >`, so that NaN is a problem too
            return None
        return f"margins move by {moved:.2g}, by {self.rounding:.2g} from rounding alone"


@torch.inference_mode()
def equivalence_check(lm: FrozenLM, questions: int, margins: Margins, scores: Margins) -> EquivalenceCheck:
    """Ask the model itself two questions, with which faster ways of asking are to agree.

    Args:
        questions: How many there are; the first and the last are asked.
        margins: The model's own unpacked forward and its full output layer.
        scores: The scores of the answers that the margins are differences of.

    Raises:
        ModelError: not even that works.
    """
    generator = torch.Generator().manual_seed(0)
    soft = torch.randn(4, 2, lm.width, generator=generator).to(lm.device) * lm.embedding_rms()
    terms = torch.tensor([[0, questions - 1]], device=lm.device).expand(len(soft), -1)
    try:
        expected, again = (margins(x, terms) for x in (soft, soft * (1 + 2 * torch.finfo(lm.dtype).eps)))
        step = torch.finfo(lm.dtype).eps * float(scores(soft, terms).square().mean().sqrt())
    except torch.OutOfMemoryError:
        raise
    except REFUSALS as error:
        raise ModelError(f"'{lm.spec.name}' cannot be asked about vectors: {first_line(error)}") from None
    if not torch.isfinite(expected).all():
        raise ModelError(f"'{lm.spec.name}' answers with NaN in {lm.dtype}: its weights are damaged, or overflow.")
    return EquivalenceCheck(soft, terms, expected, max(_distance(again, expected), step / 2))


def _distance(found: Tensor, expected: Tensor) -> float:
    """Return the root mean square difference of margins from those that the model itself gives."""
    return float((found - expected).square().mean().sqrt())


Order = Literal["image_first", "question_first"]
Strategy = Literal["packed", "plain", "question_first"]
AnyForward = Packed | Plain | QuestionFirst
_Read = Callable[[Slots, Tensor], Tensor]


@dataclass(frozen=True)
class QuestionScorer:
    """A frozen LM and the questions of a vocabulary.

    What is found for one image does not depend on the others in the batch; on a CPU not even in the last bit.
    """

    lm: FrozenLM
    frame: Frame
    table: QuestionTable
    path: Strategy
    note: str | None  # what a user must be told about the way of asking that was chosen
    forward: AnyForward  # puts questions to the LM
    own_logits: bool = False  # read the model's own logits: its output layer is not one that taxbench knows

    @classmethod
    def of(
        cls,
        lm: FrozenLM,
        questions: tuple[str, ...],
        answers: tuple[tuple[str, ...], tuple[str, ...]],
        order: Order = "image_first",
        prompt: PromptSpec = RAW,
        frames: Mapping[str, tuple[str, ...]] = FRAMES,
    ) -> "QuestionScorer":
        """Tokenise the questions and choose the fastest way of asking that leaves this model's answers alone.

        Args:
            frames: Those of the language that is asked in.

        Raises:
            ModelError: the model cannot be asked at all, does not tell the answers apart, or cannot be asked like that.
        """
        frame = frame_of(prompt, answers, order, lm.tokenizer, frames)
        table = tokenise(lm, questions, answers, frame)
        plain = Plain(lm, table) if order == "image_first" else QuestionFirst(lm, table, None)
        own = cls(lm, frame, table, "plain", None, plain, own_logits=True)
        tried = equivalence_check(lm, len(table.ids), own.margins, own.answer_scores)
        problem: str | None = None
        for keep in (True, False) if order == "image_first" else (True,):
            try:
                fast = own._fast(order, keep)
            except torch.OutOfMemoryError:
                raise
            except REFUSALS as error:
                problem = first_line(error)
                continue
            problem = tried.problem(fast.margins)
            if problem is None and isinstance(fast.forward, Packed) and keep:
                one_by_one = replace(fast, forward=replace(fast.forward, chunk=1))  # put to a prefix that is kept
                problem = tried.problem(one_by_one.margins)
            if problem is None:
                return fast
        what = "packed questions" if order == "image_first" else "questions computed once"
        note = (
            f"'{lm.spec.name}' is asked each question in a row of its own, which is several times slower: {what} "
            f"do not work ({problem})."
        )
        sliced = replace(own, own_logits=False, note=note)
        return sliced if tried.problem(sliced.margins) is None else replace(own, note=note)

    def _fast(self, order: Order, keep: bool) -> "QuestionScorer":
        """Return a faster way, which may not suit the model; `keep`: with keys and values kept where that helps."""
        lm, table = self.lm, self.table
        if order == "question_first":
            kept = QuestionFirst(lm, table, keep_questions(lm, table))
            return replace(self, path="question_first", forward=kept, own_logits=False)
        chunk = CHUNK if lm.device.type == "cpu" else ACCELERATOR_CHUNK
        packed = Packed(lm, table, chunk, keep_opening(lm, table)) if keep else Packed(lm, table, None)
        return replace(self, path="packed", forward=packed, own_logits=False)

    def margins(self, soft_tokens: Tensor, terms: Tensor) -> Tensor:
        """Return log p(positive answers) − log p(negative answers) of every question of every image.

        Args:
            soft_tokens: What stands for the images.  # (b, k, d)
            terms: The term that each question asks; −1 pads images with fewer questions.  # (b, q)

        Returns:
            The margins; those of padding mean nothing.  # (b, q) float32

        Raises:
            ModelError: the rows are longer than the model knows positions.
        """
        return compare(self.answer_scores(soft_tokens, terms), len(self.table.answers[0]))

    def answer_scores(self, soft_tokens: Tensor, terms: Tensor) -> Tensor:
        """Return log p of every answer, up to a constant of each question, the positive ones first; as for `margins`.

        Returns:
            The scores.  # (b, q, strings) float32
        """
        answers, output, n = self.table.answers, self._output, len(self.table.strings)
        if single(answers):
            read = partial(read_tokens, output, answers)
            return self._ask(self._answering, soft_tokens, terms[..., None], 1, read, n)
        texts = terms[..., None] * n + torch.arange(n, device=terms.device)  # (b, q, n)
        texts, longest = texts.where(terms[..., None] >= 0, -1), max(map(len, self.table.strings))
        return self._ask(self._answering, soft_tokens, texts, longest, partial(read_strings, output, answers), n)

    def states(self, soft_tokens: Tensor, terms: Tensor) -> Tensor:
        """Return the last hidden state where each answer is read.  # (b, k, d), (b, q) → (b, q, d)"""
        return self._ask(self.forward, soft_tokens, terms[..., None], 1, read_states, self.lm.width)

    def text_losses(self, soft_tokens: Tensor, terms: Tensor, answers: Tensor) -> Tensor:
        """Return the mean −log p over the tokens of each question and of its right answer, of several the first.

        Args:
            soft_tokens: What stands for the images.  # (b, k, d)
            terms: The term that each question asks; −1 pads images with fewer questions.  # (b, q)
            answers: Whether the positive answer is the right one.  # (b, q) bool

        Returns:
            The losses; those of padding mean nothing.  # (b, q) float32

        Raises:
            ModelError: the question comes before the image, so the image cannot help to predict it.
        """
        if isinstance(self.forward, QuestionFirst):
            raise ModelError(
                "The loss 'full_text' predicts the question from the image and needs order=image_first; with "
                "order=question_first use the loss 'answer'."
            )
        output, table = self._output, self._wording.table
        texts = (terms * 2 + (~answers).long()).where(terms >= 0, -1)
        return self._ask(self._wording, soft_tokens, texts[..., None], None, partial(read_texts, output, table))

    def row_bytes(self, k: int, questions: int, training: bool, text: bool = False) -> int:
        """Estimate the memory that an image of k soft tokens takes at the peak; `text`: for `text_losses`."""
        table, strings = self.table, self.table.strings
        n = 1 if text or single(table.answers) else len(strings)  # texts a question
        tail = 0 if single(table.answers) and not text else max(map(len, strings)) - 1
        length = k + table.length + tail
        if isinstance(self.forward, Packed):
            shape = self.forward.shape(length, table.ids.shape[1] + tail, questions * n, training)
        elif isinstance(self.forward, Plain) or self.forward.layers is None:
            shape = RowShape(questions * n, length, length, logits=questions * n * length * self.own_logits)
        else:
            shape = RowShape(questions * n, k + tail, length, logits=0)
        if text:
            shape = replace(shape, logits=questions * (table.ids.shape[1] + tail + 1) + len(table.stem))
        elif tail:
            shape = replace(shape, logits=shape.logits + questions * n * (tail + 1))
        return row_bytes(self.lm, shape, training)

    @cached_property
    def _output(self) -> OutputLayer:
        """Return the LM's output layer, by which the scorer reads answers."""
        return OutputLayer.of(self.lm, self.own_logits)

    @cached_property
    def _answering(self) -> AnyForward:
        """Puts every question followed by every answer, where answers are more than one token."""
        forward = self.forward.following(((0,),) if single(self.table.answers) else self.table.strings)
        return replace(forward, logits=True) if self.own_logits and not isinstance(forward, Packed) else forward

    @cached_property
    def _wording(self) -> AnyForward:
        """Puts every question followed by the first positive answer (text 2 · v) and negative one (2 · v + 1)."""
        forward = self.forward.following(tuple(strings[0] for strings in self.table.answers))
        return replace(forward, logits=True) if self.own_logits and not isinstance(forward, Packed) else forward

    def _ask(
        self, forward: AnyForward, soft_tokens: Tensor, texts: Tensor, keep: int | None, read: _Read, *shape: int
    ) -> Tensor:
        """Put texts to the LM and read something from each question.

        Args:
            texts: Which texts of `forward`; −1 for none.  # (b, q, texts a question)
            keep: How many of a text's last columns are read; None: all.
            read: Makes (n, q, *shape) of what the LM gives for n images, and of the texts they were asked.
            shape: What is read from each question.
        """
        (b, q), k = texts.shape[:2], soft_tokens.shape[1]
        self.check_room(k, forward.length)
        found: Tensor | None = None
        for bucket in buckets(forward, texts, k):
            rows = texts[bucket.images, : bucket.questions].flatten(1)
            slots = forward(soft_tokens[bucket.images], rows, bucket.width, keep or bucket.width)
            part = read(slots, rows)[: bucket.real]  # (n, questions, ...)
            if found is None:
                found = part.new_zeros(b, q, *shape)
            columns = torch.arange(bucket.questions, device=texts.device)
            found = found.index_put((bucket.images[: bucket.real, None], columns[None]), part)
        return soft_tokens.new_zeros(b, q, *shape) if found is None else found

    def check_room(self, k: int, length: int) -> None:
        """Raise ModelError where k soft tokens and a longest question take more positions than the LM knows."""
        known = self.lm.positions
        if known is not None and k + length > known:
            raise ModelError(
                f"A row of {k} soft tokens and up to {length} of a question is longer than the {known} positions that "
                f"'{self.lm.spec.name}' knows. Choose a head with fewer soft tokens, pool the features, or take a "
                "shorter frame."
            )

    def said(self, name: str, phrase: str | None = None) -> Tensor:
        """Return the tokens of a name that is said where the image would be, as for `Frame.said`.  # (t,)"""
        text = self.frame.said(name, phrase)
        return text_tokens(self.lm, text, self.frame.opening or ("a" if text.startswith(" ") else ""))
