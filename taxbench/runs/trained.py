"""The heads of finished runs, to apply: features to soft tokens, to margins, and to where they look."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor

from taxbench.features.store.index import dataset_of
from taxbench.heads.base import SoftHead
from taxbench.protocol.image_pairs import ids_in
from taxbench.results.predictions import OWN
from taxbench.runs.context import RunContext
from taxbench.runs.fit import HeadJob, fit
from taxbench.runs.recorded import recorded_context
from taxbench.runs.reproduce import differing
from taxbench.runs.run_options import NamesHere
from taxbench.runs.runner import plan
from taxbench.specs.result import Result
from taxbench.training.predict import FittedHead
from taxbench.util.errors import DataError, TaxbenchError, UsageError, did_you_mean, first_few
from taxbench.util.paths import cache_folder
from taxbench.util.progress import Reporter

_ROWS = 64
"""Pictures at a time."""


@dataclass(frozen=True)
class TrainedHead:
    """A head of a finished run. Called with features it returns what it maps them to: `soft_tokens`."""

    name: str
    fitted: FittedHead
    job: HeadJob
    context: RunContext

    def __call__(self, features: np.ndarray | Tensor) -> np.ndarray:
        """Return `soft_tokens`."""
        return self.soft_tokens(features)

    def __repr__(self) -> str:
        lm = self.fitted.scorer.lm.spec.name
        return f"<TrainedHead {self.name}: {self.fitted.images.tokens} x {self.fitted.images.width} features into {lm}>"

    @cached_property
    def terms(self) -> tuple[str, ...]:
        """Return the terms that it can be asked: names of leaves, hypernyms, and the questions of a property task."""
        return self.job.protocol.vocabulary.terms

    def features(self, images: Sequence[str]) -> np.ndarray:
        """Return the features of pictures by their ids, as the run's encoder gives them.  # (n, t, f) float32

        They are read from the cache, and extracted where it has none. Of pairs, as a run whose questions show two
        pictures names them ("a & b"), those of both: (n, 2, t, f).

        Raises:
            DataError: the dataset has no such picture.
            UsageError: some are pictures and some are pairs.
        """
        place = {image.id: row for row, image in enumerate(self.context.dataset.images)}
        shown = [ids_in(name, place) for name in images]
        for name in chain.from_iterable(shown):
            if name not in place:
                raise DataError(f"'{self.context.dataset.name}' has no picture '{name}'.{did_you_mean(name, place)}")
        if len(set(map(len, shown))) > 1:
            raise UsageError(f"Of {first_few(images)} some are pictures and some pairs of pictures. Ask for one kind.")
        rows = np.array([[place[name] for name in ids] for ids in shown] or np.zeros((0, 1)), np.int64)  # (n, 1 or 2)
        found = [self.job.images(each).float().cpu().numpy() for each in rows.T]
        return found[0] if len(found) == 1 else np.stack(found, axis=1)

    def soft_tokens(self, features: np.ndarray | Tensor) -> np.ndarray:
        """Return the vectors that stand in the LM's row for each picture.  # (n, t, f) → (n, k, d) float32

        Of two pictures, here and below, those of the first come first: (n, 2, t, f) → (n, 2k, d). Of a head that is not
        read by the LM's answers, the vectors that it compares or reads.

        Raises:
            UsageError: the features have another shape.
        """
        head = self.fitted.head
        mapped = head.soft_tokens if isinstance(head, SoftHead) else head.mapped
        return self._in_parts(mapped, self._given(features))

    def margins(self, features: np.ndarray | Tensor, terms: Sequence[str]) -> np.ndarray:
        """Ask every picture for every term; return log p(Yes) − log p(No).  # (n, t, f) → (n, terms) float32

        As the LM, or the head, answers: not calibrated, where the run's margins were.

        Raises:
            UsageError: a term is none of `terms`, or the features have another shape.
        """
        known = {term: number for number, term in reversed(list(enumerate(self.terms)))}
        for term in terms:
            if term not in known:
                hint = did_you_mean(term, known)
                raise UsageError(f"The run cannot ask for '{term}'.{hint} It can for {first_few(self.terms, 20)}.")
        asked = torch.tensor([known[term] for term in terms], device=self.context.device)
        head, scorer = self.fitted.head, self.fitted.scorer
        return self._in_parts(
            lambda part: head.margins(part, asked.expand(len(part), -1), scorer), self._given(features)
        )

    def attention(self, features: np.ndarray | Tensor) -> np.ndarray | None:
        """Return how much each soft token looks at each feature vector; None: it does not.  # (n, t, f) → (n, k, t)"""
        given = self._given(features)
        if self.fitted.head.attention(given[:1]) is None:
            return None
        return self._in_parts(cast(Callable[[Tensor], Tensor], self.fitted.head.attention), given)

    def _given(self, features: np.ndarray | Tensor) -> Tensor:
        """Return features on the device; raise UsageError where they are not what the head takes."""
        given = torch.as_tensor(features, dtype=torch.float32, device=self.context.device)
        shape = self.fitted.images.tokens, self.fitted.images.width
        pairs = [(2, *shape)] if self.job.protocol.task.in_pairs else []
        if tuple(given.shape[1:]) not in (known := [shape, *pairs]):
            expected = " or ".join(f"(n, {', '.join(map(str, each))})" for each in known)
            raise UsageError(
                f"features have the shape {tuple(given.shape)}; the head '{self.name}' takes {expected}. Those of a "
                "picture: head.features([image])."
            )
        return given

    @torch.inference_mode()
    def _in_parts(self, of: Callable[[Tensor], Tensor], features: Tensor) -> np.ndarray:
        """Return what a function makes of features, some pictures at a time."""
        parts = [of(part).float().cpu() for part in torch.split(features, _ROWS)]
        return np.asarray(torch.cat(parts).numpy())


def trained_head(record: Result, control: str, here: NamesHere, report: Reporter, train: bool = False) -> TrainedHead:
    """Return a head of a recorded run, from the cache.

    Args:
        control: Whose head: the run's own where empty, else that of a control.
        here: What its inputs are called here.
        train: Train it where the cache lacks it.

    Raises:
        UsageError: the record has no such control, or the head is not in the cache.
        DataError: what is here would not make the same head.
        TaxbenchError: as for any run.
    """
    cache = cache_folder(here.cache)
    if here.dataset is None:
        dataset, taxonomy = dataset_of(cache, record.run.encoder.features)
        here = replace(here, dataset=dataset, taxonomy=here.taxonomy or taxonomy)
    context = recorded_context(record, here, (cache, Path("results")), report)
    ((_, planned),) = plan(context)
    if isinstance(planned, TaxbenchError):
        raise planned
    if planned.spec.digest != record.digest:
        changed = [f"{each.what}: {each.recorded} then, {each.here} now" for each in differing(record, planned.spec)]
        raise DataError(f"{record!r} is another run than what is here would make ({first_few(changed)}).")
    name = control or OWN
    if name not in planned.heads:
        others = [each for each in planned.heads if each != OWN]
        raise UsageError(f"{record!r} has no head of a control '{name}'.{did_you_mean(name, others)} It has {others}.")
    job = planned.heads[name]
    if job.is_missing and not train:
        raise UsageError(
            f"The trained head of {record!r} is not in the cache '{context.cache}', or was trained by other versions. "
            "Train it anew with train=True, or name the cache of its run with cache=DIR."
        )
    _ = job.teaching_scorer, job.scorer
    fit([job], (), context)
    return TrainedHead(record.head if name == OWN else name, job.fitted(), job, context)
