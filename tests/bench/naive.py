"""The loop that published code runs: every question is a row of its own and encodes its image again, logits are
computed for all words at all positions, and evaluation asks one question at a time."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from taxbench.heads.base import SoftHead
from taxbench.lms.frozen import FrozenLM
from taxbench.protocol.protocol import Protocol
from taxbench.protocol.questions import QuestionSet
from taxbench.specs.run import TrainerSpec
from taxbench.training.head_state import scheduled
from taxbench.util.seeds import rng
from tests.bench.pictures import Pictures


@dataclass(frozen=True, slots=True)
class NaiveLoop:
    """A head, trained and asked the plain way. Its batches are those of the packed trainer, so that steps agree."""

    head: SoftHead
    lm: FrozenLM
    pictures: Pictures
    protocol: Protocol
    trainer: TrainerSpec
    """With the `loss` answer."""
    rows_a_step: int | None
    """How many questions make a step, drawn from all; None: all questions of as many images as the packed trainer
    takes, in its order, so that both take the same steps."""

    def train(self) -> None:
        """Train for all epochs."""
        optimiser = torch.optim.AdamW(self.head.parameters(), betas=(0.9, self.trainer.beta2), weight_decay=0.0)
        self.head.train()
        total, step = self.trainer.epochs * len(list(self.batches(0))), 0
        for epoch in range(self.trainer.epochs):
            for asked in self.batches(epoch):
                for group in optimiser.param_groups:
                    group["lr"] = self.trainer.learning_rate * scheduled(step, total, self.trainer.warmup)
                optimiser.zero_grad()
                # Published code takes the cross-entropy over all words; over the two answers, it is taxbench's loss.
                two = self.answer_logits(asked)[:, list(self._answers())]
                loss = functional.cross_entropy(two, torch.from_numpy((~asked.answer).astype(np.int64)).to(two.device))
                loss.backward()  # type: ignore[no-untyped-call]
                torch.nn.utils.clip_grad_norm_(self.head.parameters(), self.trainer.clip)
                optimiser.step()
                step += 1
        self.head.eval()

    def evaluate(self, questions: QuestionSet) -> np.ndarray:
        """Return the margin of every question, asked one at a time.  # (q,)"""
        yes, no = self._answers()
        found = np.empty(len(questions), np.float32)
        with torch.inference_mode():
            for i in range(len(questions)):
                one = QuestionSet(questions.image[i : i + 1], questions.term[i : i + 1], questions.answer[i : i + 1])
                logits = self.answer_logits(one)[0]
                found[i] = float(logits[yes] - logits[no])
        return found

    def batches(self, epoch: int) -> Iterator[QuestionSet]:
        """Yield the questions of each step."""
        asked, draw = self.protocol.train_questions(epoch), rng(self.protocol.seed, "order", epoch)
        if self.rows_a_step is not None:
            order = draw.permutation(len(asked))
            for some in np.array_split(order, -(-len(order) // self.rows_a_step)):
                yield QuestionSet(asked.image[some], asked.term[some], asked.answer[some])
            return
        images = np.unique(asked.image)
        images = images[draw.permutation(len(images))]
        for some in np.array_split(images, -(-len(images) // self.trainer.batch_images)):
            yield asked.where(np.isin(asked.image, some))

    def answer_logits(self, asked: QuestionSet) -> Tensor:
        """Return the logits of all words after each question.  # (b, vocabulary)"""
        if self.rows_a_step is None:  # the images of a step are encoded once
            distinct, back = np.unique(asked.image, return_inverse=True)
            features = self.pictures.encode(distinct)[torch.from_numpy(back).to(self.lm.device)]
        else:
            features = self.pictures.encode(asked.image)
        soft = self.head.soft_tokens(features).to(self.lm.dtype)
        texts = [self.lm.encode(self.protocol.questions[term]) for term in asked.term]
        ids = pad_sequence([torch.tensor(text) for text in texts], batch_first=True).to(self.lm.device)
        bos = self.lm.embed(torch.tensor(self.lm.bos(), device=self.lm.device)).expand(len(soft), -1, -1)
        rows = torch.cat([bos, soft, self.lm.embed(ids)], dim=1)
        lengths = torch.tensor([bos.shape[1] + soft.shape[1] + len(text) for text in texts], device=self.lm.device)
        mask = torch.arange(rows.shape[1], device=self.lm.device) < lengths[:, None]
        logits: Tensor = self.lm.model(inputs_embeds=rows, attention_mask=mask.long()).logits
        return logits[torch.arange(len(rows), device=self.lm.device), lengths - 1].float()

    def _answers(self) -> tuple[int, int]:
        yes, no = (self.lm.encode(f" {word}")[0] for word in ("Yes", "No"))
        return yes, no
