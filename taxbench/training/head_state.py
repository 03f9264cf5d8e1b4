"""One head on its way through training: first weights, questions grouped by image, optimiser, checkpoint, cache."""

import copy
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from taxbench.features.feature_rows import Images
from taxbench.heads.base import HeadShape, SoftHead, StateHead, first_weights, reseed
from taxbench.heads.loading import head_module
from taxbench.lms.frozen import FrozenLM
from taxbench.protocol.protocol import Protocol
from taxbench.protocol.questions import QuestionSet
from taxbench.registry.heads import head_info
from taxbench.specs.run import HeadSpec, TrainerSpec
from taxbench.specs.side_files import LossCurve
from taxbench.util.errors import CacheError, TrainingError, first_line
from taxbench.util.paths import replacing
from taxbench.util.seeds import derive_seed, rng


@dataclass(frozen=True, slots=True)
class ImageRows:
    """One row an image; rows with fewer questions are padded with term −1."""

    image: np.ndarray  # (r,) int64
    term: np.ndarray  # (r, q) int64
    answer: np.ndarray  # (r, q) bool
    source: np.ndarray  # (r, q) int64, row of the question set, −1 for padding


def group_by_image(questions: QuestionSet, most: int) -> ImageRows:
    """Put each image's questions in one row, or in several of at most `most` questions."""
    order = np.argsort(questions.image, kind="stable")
    image = questions.image[order]
    starts = np.flatnonzero(np.r_[True, image[1:] != image[:-1]])
    rank = np.arange(len(image)) - np.repeat(starts, np.diff(np.r_[starts, len(image)]))  # place within the image
    column = rank % most
    row = np.cumsum(column == 0) - 1
    shape = (int(row[-1]) + 1, int(column.max()) + 1)
    term, source = np.full(shape, -1, np.int64), np.full(shape, -1, np.int64)
    answer = np.zeros(shape, bool)
    term[row, column], answer[row, column], source[row, column] = questions.term[order], questions.answer[order], order
    return ImageRows(image[column == 0], term, answer, source)


def build_head(spec: HeadSpec, images: Images, train_images: np.ndarray, lm: FrozenLM, seed: int) -> SoftHead:
    """Return an untrained head: first weights follow the seed, scales follow the training features and the LM.

    Raises:
        TaxbenchError: the head does not take such features.
    """
    module, kind = head_module(spec.name), head_info(spec.name)
    mean, std = images.statistics(train_images)
    shape = HeadShape(tokens=images.tokens, features=images.width, width=lm.width)
    head: SoftHead
    with first_weights(seed, spec.name):
        mapping = module.build(shape, module.Settings.model_validate(spec.settings))
        if kind.reads == "state":
            head = StateHead(mapping, mean, std, lm.embedding_rms(), lm.width)
        else:
            head = SoftHead(mapping, mean, std, lm.embedding_rms())
    return head.to(lm.device).eval()


@dataclass(frozen=True, slots=True)
class HeadBatch:
    """The images of one step with all their questions."""

    features: Tensor  # (b, t, f)
    term: Tensor  # (b, q) int64, −1 where unused
    answer: Tensor  # (b, q) bool


class HeadTrainingState:
    """A head in training. Whatever is trained beside it, it sees its own batches in its own order."""

    def __init__(self, head: SoftHead, images: Images, protocol: Protocol, trainer: TrainerSpec, label: str) -> None:
        self.head, self.images, self.protocol, self.trainer, self.label = head, images, protocol, trainer, label
        self.step = 0
        self.failure: TrainingError | None = None
        self.checkpoint: Path | None = None
        """Where `save` writes, if anywhere."""
        self.best: tuple[float, int, dict[str, Tensor]] | None = None
        """Least validation loss, the epochs it took, and the weights then; only where training may stop early."""
        self.losses: list[float] = []
        """The loss of each step."""
        self.validation: list[tuple[int, float]] = []
        """Steps after which the loss on leaf questions about validation images was looked at, and what it was."""
        self.watched = False
        """Whether to say so where validation loss ends above a coin's, or still falls."""
        self._half_way: float | None = None  # the validation loss half way
        self._stopped, self._stepping = False, False
        self._epoch_steps = math.ceil(len(protocol.images("train")) / trainer.batch_images)
        self._epoch: tuple[int, ImageRows, list[np.ndarray]] | None = None
        self._now = np.zeros(0, np.int64)  # the images of the last batch
        fused = head.mean.device.type == "cuda"
        self._optimiser = torch.optim.AdamW(
            head.parameters(),
            trainer.learning_rate,
            (0.9, trainer.beta2),
            weight_decay=trainer.weight_decay,
            fused=fused,
        )
        head.train()

    @property
    def total_steps(self) -> int:
        """Return the steps of a training that does not stop early."""
        return self.trainer.epochs * self._epoch_steps

    @property
    def done(self) -> bool:
        """Say whether the head's training is over: nothing is left to learn, or there is no use in going on."""
        return self._stopped or self.failure is not None or self.step >= self.total_steps

    @property
    def epoch_ended(self) -> bool:
        """Say whether the last step was an epoch's last."""
        return self.step % self._epoch_steps == 0

    @property
    def half_way_or_done(self) -> bool:
        """Say whether half of the steps are done, or all."""
        return self.step in (self.total_steps // 2, self.total_steps)

    @property
    def device(self) -> torch.device:
        """Return the device that the head in training is on."""
        return self.head.mean.device

    def questions_left(self) -> int:
        """Return how many questions will be asked until the end."""
        return len(self.protocol.train_questions(0)) * (self.total_steps - self.step) // self._epoch_steps

    def batch(self) -> HeadBatch:
        """Return the images and questions of the next step."""
        epoch, place = divmod(self.step, self._epoch_steps)
        if self._epoch is None or self._epoch[0] != epoch:
            rows = group_by_image(self.protocol.train_questions(epoch), most=1 << 30)
            order = rng(self.protocol.seed, "order", epoch).permutation(len(rows.image))
            self._epoch = epoch, rows, np.array_split(order, self._epoch_steps)
        _, rows, parts = self._epoch
        part = parts[place]
        self._now = rows.image[part]
        reseed(self.head, derive_seed(self.protocol.seed, "dropout", self.step))
        term, answer = (torch.from_numpy(each[part]).to(self.device) for each in (rows.term, rows.answer))
        return HeadBatch(self.images(rows.image[part]), term, answer)

    def learn(self, loss: float) -> None:
        """Take one step down the gradient that the head's parameters hold."""
        self._stepping = True
        self.losses.append(loss)
        rate = self.trainer.learning_rate * scheduled(self.step, self.total_steps, self.trainer.warmup)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        torch.nn.utils.clip_grad_norm_(self.head.parameters(), self.trainer.clip)
        self._optimiser.step()
        self._optimiser.zero_grad(set_to_none=True)
        self.step, self._stepping = self.step + 1, False

    def validated(self, loss: float) -> None:
        """Take an epoch's loss on validation questions about leaves, and stop where it has long been no better."""
        epoch = self.step // self._epoch_steps
        if self.best is None or loss < self.best[0]:
            self.best = loss, epoch, copy.deepcopy(self.head.state_dict())
        elif epoch - self.best[1] >= self.trainer.patience:
            self._stopped = True

    def told_of(self, loss: float) -> str:
        """Note the validation loss half way; at the end, say so where training failed or could go on, else nothing.

        Half way, and not shortly before the end, where the learning rate is near zero and nothing moves any more.
        """
        if self.step < self.total_steps:
            self._half_way = loss
        elif loss > (1 + _FALLING) * _COIN:
            return (
                f"{self.label}: training went astray. Its loss on validation leaves is {loss:.3f}, and a coin's is "
                f"{_COIN:.3f}. Smaller steps may hold: --set learning_rate={self.trainer.learning_rate / 3:.1g}"
            )
        elif self._half_way is not None and loss < (1 - _FALLING) * self._half_way:
            return (
                f"{self.label}: in the second half of its steps the loss on validation leaves still fell, from "
                f"{self._half_way:.3f} to {loss:.3f}. Longer training may do better: "
                f"--set epochs={2 * self.trainer.epochs}"
            )
        return ""

    def finish(self) -> SoftHead:
        """Return the trained head: its last weights, or the best ones where training may stop early.

        Raises:
            TrainingError: it broke off.
        """
        if self.failure is None and not all(torch.isfinite(value).all() for value in self.head.parameters()):
            self.fail("The head's weights stopped being numbers in the last step")
        if self.failure is not None:
            raise self.failure
        if self.best is not None:
            self.head.load_state_dict(self.best[2])
        return self.head.eval()

    def fail(self, what: str) -> None:
        """Break this head's training off; others go on."""
        advice = f"Try --set learning_rate={self.trainer.learning_rate / 10:g}."
        for image in self._now:
            if not torch.isfinite(self.images(np.array([image]))).all():
                first = self.protocol.dataset.images[image % len(self.protocol.leaf)]
                advice = f"The features of '{first.id}' are not numbers."
        self.failure = TrainingError(f"{what} ({self.label}, step {self.step + 1}). {advice}")

    def save(self) -> None:
        """Write a checkpoint of the head's training, so that it can go on from here."""
        if self.checkpoint is None or self.failure is not None or self._stepping:  # Ctrl-C may fall into a step
            return
        tensors = {f"head/{name}": value for name, value in self.head.state_dict().items()}
        for number, moments in self._optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser/{number}/{name}": value for name, value in moments.items()}
        said: dict[str, Any] = {"step": self.step, "stopped": self._stopped, "half_way": self._half_way}
        tensors["losses"] = torch.tensor(self.losses, dtype=torch.float64)
        said["validation"] = self.validation
        if self.best is not None:
            said |= {"best": self.best[:2]}
            tensors |= {f"best/{name}": value for name, value in self.best[2].items()}
        with replacing(self.checkpoint) as partial:
            whole = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
            partial.write_bytes(save(whole, metadata={"state": json.dumps(said)}))

    def resume(self) -> None:
        """Go on where an interrupted training stood, if one did.

        Raises:
            CacheError: the file is broken.
        """
        path = self.checkpoint
        if path is None or not path.is_file():
            return
        try:
            with safe_open(path, "pt", device=str(self.device)) as file:
                said = json.loads(file.metadata()["state"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            self._take(said, tensors)
        except (OSError, RuntimeError, KeyError, ValueError, TypeError, SafetensorError) as error:
            raise CacheError(
                f"The checkpoint '{path}' is broken ({first_line(error)}). Remove it: rm '{path}'"
            ) from None

    def _take(self, said: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        """Take over a checkpoint's weights, optimiser moments, step and best state."""

        def under(part: str) -> dict[str, Tensor]:
            return {name.removeprefix(part): value for name, value in tensors.items() if name.startswith(part)}

        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in under("optimiser/").items():
            number, _, what = name.partition("/")
            moments.setdefault(int(number), {})[what] = value
        self.head.load_state_dict(under("head/"))
        self._optimiser.load_state_dict({**self._optimiser.state_dict(), "state": moments})
        self.step, self._stopped, self._half_way = said["step"], said["stopped"], said.get("half_way")
        self.best = (*said["best"], under("best/")) if "best" in said else None
        # A checkpoint of an earlier release has no losses.
        self.losses = tensors["losses"].tolist() if "losses" in tensors else [math.nan] * self.step
        self.validation = [(step, loss) for step, loss in said.get("validation", ())]

    def curve(self) -> LossCurve:
        """Return how the loss fell."""
        return LossCurve.of(self.losses, self.validation)


_COIN = math.log(2)
# The share by which a loss may fall in the second half of a training, or end above a coin's, without a word.
_FALLING = 0.05


def scheduled(step: int, total: int, warmup: float) -> float:
    """Return the share of the learning rate at a step: a linear rise over the warm-up, then a cosine to zero."""
    rising = max(1, round(warmup * total))
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - rising) / max(1, total - rising))))
