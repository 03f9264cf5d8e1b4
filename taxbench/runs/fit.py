"""The heads of runs: their own and those of their controls, from the cache, fitted, or trained several at a time."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import numpy as np
import torch

from taxbench.features.feature_rows import Images, NameFeatures, ShuffledFeatures
from taxbench.heads.base import FixedHead, Head, SoftHead
from taxbench.heads.closed_form import FitData
from taxbench.heads.label_head import label_head
from taxbench.heads.loading import head_module, head_spec
from taxbench.heads.moments import LRUCache
from taxbench.lms.question_scorer import QuestionScorer
from taxbench.protocol.protocol import Protocol
from taxbench.registry.heads import MISTAKES, head_info
from taxbench.runs.context import FeatureSet, RunContext
from taxbench.runs.environment import versions
from taxbench.specs.controls import CONTROLS, Variant
from taxbench.specs.run import HeadKey, HeadSpec, RunSpec, head_key
from taxbench.specs.spec import canonical_json
from taxbench.training.head_build import build_head
from taxbench.training.head_cache import checkpoint_path, head_path, load_head, save_head
from taxbench.training.head_state import HeadTrainingState
from taxbench.training.parallel import side_by_side, threads_of_a_job
from taxbench.training.predict import FittedHead
from taxbench.training.row_budget import out_of_memory
from taxbench.training.stack import train_stack
from taxbench.util.errors import TaxbenchError, UsageError, first_line
from taxbench.util.seeds import derive_seed, rng

_STACK = 16
"""Heads trained at once: more would hardly be faster, and all of them are unfinished until the last step."""


@dataclass(frozen=True, slots=True)
class Job:
    """One run that has to be computed."""

    run: RunSpec
    protocol: Protocol
    features: FeatureSet

    def label(self, head: str, control: str) -> str:
        """Name the work on one of its heads, for a progress bar; the control of its own head is `none`."""
        changed = "" if control == "none" else f" ({control.replace('_', ' ')})"
        return f"{head} {self.run.task.name} seed {self.run.seed}{changed}"


StackKey = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class HeadJob:
    """A head that a run needs: its own or a control's."""

    key: HeadKey
    job: Job

    @property
    def label(self) -> str:
        """Name it for a progress bar."""
        return self.job.label(self.key.head.name, self.key.variant)


@dataclass
class HeadFitter:
    """Makes heads for runs, one run after the other, and trains those of later runs along where they fit in."""

    context: RunContext
    _failures: dict[str, TaxbenchError] = field(default_factory=dict)
    _kinds: dict[str, StackKey] = field(default_factory=dict)
    _shared: LRUCache = field(default_factory=LRUCache)

    def heads(self, job: Job, later: Iterable[Callable[[], Job]]) -> dict[str, FittedHead]:
        """Return a run's own head, named `none`, and those of its controls.

        Args:
            later: What makes the runs that come after this one.

        Raises:
            TaxbenchError: one of them cannot be made.
        """
        wanted = self._wanted(job)
        with self.context.timed("train"):
            missing = [each for each in wanted.values() if self._missing(each)]
            if missing:
                self._train(missing, later)
            for each in wanted.values():
                if each.key.digest in self._failures:
                    raise self._failures[each.key.digest]
            return {name: self._finished(each) for name, each in wanted.items()}

    def _wanted(self, job: Job) -> dict[str, HeadJob]:
        """Return every head that a run takes part with: a control has another LM, other features, or another head."""
        code = f"{canonical_json(versions().computing)} {threads_of_a_job(self.context.device)} threads"
        others: dict[str, tuple[Variant, HeadSpec]] = {"none": ("none", job.run.head)}
        for control in (CONTROLS[name] for name in job.run.task.controls):
            if control.changes:
                head = head_spec(control.head, {}) if control.head else job.run.head
                others[control.name] = (control.variant, head)
        return {name: HeadJob(head_key(job.run, variant, head, code), job) for name, (variant, head) in others.items()}

    def _missing(self, wanted: HeadJob) -> bool:
        """Say whether a head has to be trained, and can be as far as is known."""
        key = wanted.key
        there = key.digest in self._failures or head_path(self.context.cache, key).is_file()
        return head_info(key.head.name).learns != "fit" and not there

    def _finished(self, wanted: HeadJob) -> FittedHead:
        """Return a head from the cache, or fitted in a moment."""
        if head_info(wanted.key.head.name).learns == "fit":
            return self._fit(wanted)
        asked = self._build(wanted)
        load_head(self.context.cache, wanted.key, asked.head)
        return asked

    def _scorer(self, wanted: HeadJob) -> QuestionScorer:
        lm = self.context.twin(wanted.key.seed) if wanted.key.variant == "random_lm" else self.context.lm
        return self.context.scorer(lm, wanted.job.protocol, wanted.key.trainer.order)

    def _images(self, wanted: HeadJob) -> Images:
        protocol, images = wanted.job.protocol, cast(Images, wanted.job.features.rows)
        if head_info(wanted.key.head.name).sees == "name":
            images = NameFeatures(protocol.vocabulary.name_of[protocol.leaf], self.context.device)
        if wanted.key.variant == "shuffled_features":
            return ShuffledFeatures(images, protocol.splits, rng(protocol.seed, "shuffled_features"))
        return images

    def _build(self, wanted: HeadJob) -> FittedHead:
        images, scorer = self._images(wanted), self._scorer(wanted)
        train = wanted.job.protocol.images("train")
        with _blamed(wanted.key.head):
            head = build_head(wanted.key.head, images, train, scorer.lm, wanted.key.seed)
        return FittedHead(head, images, scorer)

    def _fit(self, wanted: HeadJob) -> FittedHead:
        """Make a head that is not trained through the LM."""
        spec, images, scorer = wanted.key.head, self._images(wanted), self._scorer(wanted)
        module, protocol = head_module(spec.name), wanted.job.protocol
        mean, std = images.statistics(protocol.images("train"))
        data = self._fit_data(wanted, images, scorer)
        settings = module.Settings.model_validate(spec.settings)
        with _blamed(spec):
            mapping = module.fit(data, settings)
        head: Head
        if head_info(spec.name).reads == "labels":
            head = label_head(mapping, mean, std, data, protocol.vocabulary.terms, settings)
        else:
            head = FixedHead(mapping, mean, std)
        return FittedHead(head.to(self.context.device).eval(), images, scorer, data.chosen)

    def _fit_data(self, wanted: HeadJob, images: Images, scorer: QuestionScorer) -> FitData:
        protocol, key = wanted.job.protocol, wanted.key
        mean, std = images.statistics(protocol.images("train"))
        names = protocol.vocabulary.name_of[protocol.leaf]
        train, val = protocol.images("train"), protocol.images("val")
        dealt = f" shuffled {key.seed}" if key.variant == "shuffled_features" else ""
        return FitData(
            features=lambda some: (images(some) - mean) / std,
            images=train,
            names=names[train],
            val_images=val,
            val_names=names[val],
            texts=protocol.vocabulary.terms[: protocol.vocabulary.n_names],
            lm=scorer.lm,
            seed=derive_seed(key.seed, "fit", key.head.name),
            cache=self.context.cache,
            features_key=f"{head_info(key.head.name).sees} {key.encoder.features}{dealt}",
            shared=self._shared,
        )

    def _train(self, missing: list[HeadJob], later: Iterable[Callable[[], Job]]) -> None:
        """Train heads, and those of later runs that can be trained along with them, in stacks."""
        stacks: dict[StackKey, dict[str, HeadJob]] = {}
        for each in missing:
            stacks.setdefault(self._kind(each), {})[each.key.digest] = each
        for make in later:
            if all(len(stack) >= _STACK for stack in stacks.values()):
                break
            for kind, each in self._also(make, {wanted.key.seed for wanted in missing}):
                if 0 < len(stacks.get(kind, ())) < _STACK:
                    stacks[kind][each.key.digest] = each
        lists = [list(stack.values()) for stack in stacks.values()]
        # On a CPU there should be work for two jobs; elsewhere stacks wait for each other.
        two = self.context.device.type == "cpu"
        most = min(_STACK, -(-sum(map(len, lists)) // 2)) if two else _STACK
        groups = [some[start : start + most] for some in lists for start in range(0, len(some), most)]
        # Built before any is trained, since first weights come from torch's global random state.
        trainees = [self._trainees(group) for group in groups]
        at_once = min(2, len(groups)) if two else 1
        jobs = [partial(self._train_stack, some, at_once) for some in trainees if some]
        side_by_side(jobs, self.context.device, self.context.report)

    def _kind(self, wanted: HeadJob) -> StackKey:
        """Return what heads of one stack have in common: how the LM is asked, and what it is given."""
        digest, protocol = wanted.key.digest, wanted.job.protocol
        if digest not in self._kinds:
            asked = self._build(wanted)
            with torch.inference_mode(), _blamed(wanted.key.head):
                one, k, width = asked.head.mapped(asked.images(np.zeros(1, np.int64))).shape
                if (one, width) != (1, asked.scorer.lm.width):
                    raise ValueError(f"one image gives ({one}, {k}, {width}), not (1, k, {asked.scorer.lm.width})")
            answers, trainer = protocol.task.questions.answers, wanted.key.trainer
            how = asked.scorer.lm.digest, protocol.questions, answers.positive, answers.negative, trainer.order
            self._kinds[digest] = (*how, k, type(asked.head), trainer.loss)
        return self._kinds[digest]

    def _also(self, make: Callable[[], Job], seeds: set[int]) -> Iterator[tuple[StackKey, HeadJob]]:
        """Yield the heads of a later run that have to be trained; of random twins, one at a time is in memory."""
        try:
            for each in self._wanted(make()).values():
                other_twin = each.key.variant == "random_lm" and each.key.seed not in seeds
                if self._missing(each) and not other_twin:
                    yield self._kind(each), each
        except TaxbenchError:  # told when its turn comes
            return

    def _trainees(self, group: Sequence[HeadJob]) -> dict[HeadTrainingState, HeadJob]:
        found: dict[HeadTrainingState, HeadJob] = {}
        for each in group:
            try:
                found[self._trainee(each)] = each
            except TaxbenchError as error:  # it is the trouble of its own run, not of those it would be trained with
                self._failures[each.key.digest] = error
        return found

    def _train_stack(self, trainees: dict[HeadTrainingState, HeadJob], jobs: int) -> None:
        def finished(trainee: HeadTrainingState) -> None:
            key = trainees[trainee].key
            try:
                save_head(self.context.cache, key, trainee.finish())  # at once, whatever becomes of the others
            except TaxbenchError as error:
                self._failures[key.digest] = error

        scorer = self._scorer(next(iter(trainees.values())))
        train_stack(list(trainees), scorer, self.context.report, finished, jobs)

    def _trainee(self, wanted: HeadJob) -> HeadTrainingState:
        """Return a head in training, as far as it has come."""
        asked, module = self._build(wanted), head_module(wanted.key.head.name)
        head = asked.head
        assert isinstance(head, SoftHead), wanted.label
        if hasattr(module, "prepare"):
            with _blamed(wanted.key.head):
                module.prepare(head.mapping, self._fit_data(wanted, asked.images, asked.scorer))
        trainee = HeadTrainingState(
            head, asked.images, wanted.job.protocol, wanted.key.trainer, f"train {wanted.label}"
        )
        trainee.checkpoint = checkpoint_path(self.context.cache, wanted.key)
        trainee.resume()
        return trainee


@contextmanager
def _blamed(head: HeadSpec) -> Iterator[None]:
    """Name the head of another package whose code fails."""
    try:
        yield
    except MISTAKES as error:
        if not head.source or out_of_memory(error):
            raise
        kind = type(error).__name__
        raise UsageError(f"The head '{head.name}', of another package, fails ({kind}: {first_line(error)}).") from error
