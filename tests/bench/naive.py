"""The loop that published code runs: every epoch encodes every image again, every question is a row of its own, logits
are computed for all words at all positions, and evaluation asks one question at a time."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from taxbench.data.protocol import Protocol
from taxbench.data.questions import QuestionSet
from taxbench.heads.base import SoftHead
from taxbench.lms.frozen import FrozenLM
from taxbench.seeds import rng
from taxbench.specs.run import TrainerSpec
from taxbench.training.trainee import scheduled
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
    images: np.ndarray
    """The training images that are used."""

    def train(self) -> None:
        """Train for all epochs."""
        optimiser = torch.optim.AdamW(self.head.parameters(), lr=self.trainer.learning_rate, weight_decay=0.0)
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
        asked = self.protocol.train_questions(epoch)
        asked = asked.where(np.isin(asked.image, self.images))
        order = self.images[rng(self.protocol.seed, "order", epoch).permutation(len(self.images))]
        for images in np.array_split(order, -(-len(order) // self.trainer.batch_images)):
            yield asked.where(np.isin(asked.image, images))

    def answer_logits(self, asked: QuestionSet) -> Tensor:
        """Return the logits of all words after each question.  # (b, vocabulary)"""
        soft = self.head.soft_tokens(self.pictures.encode(asked.image)).to(self.lm.dtype)
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
