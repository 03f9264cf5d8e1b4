"""The heads that runs need: their own and those of their controls, fitted in a moment or trained through the LM.

A `HeadJob` is one head: built once, trained at most once, used by every run with the same `HeadKey`. `fit` trains what
the cache lacks in stacks, heads that can share a pass through the language model, those of later runs among them.
"""

import hashlib
from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import chain

import numpy as np
import torch
from torch import nn

from taxbench.features.feature_rows import ImagePairs, Images, NameFeatures, NoFeatures, ShuffledFeatures
from taxbench.heads.base import FixedHead, Head, SoftHead
from taxbench.heads.closed_form import FitData
from taxbench.heads.label_head import label_head
from taxbench.heads.loading import head_module, head_spec
from taxbench.heads.stored import checkpoint_path, head_path, load_head, read_curve, save_head
from taxbench.heads.told import NameHead, TermHead
from taxbench.lms.frozen import FrozenLM
from taxbench.lms.question_scorer import QuestionScorer
from taxbench.protocol.protocol import Protocol
from taxbench.protocol.term_texts import TermTexts
from taxbench.registry.heads import HeadInfo, head_info
from taxbench.registry.package_source import MISTAKES, package_failure
from taxbench.results.predictions import OWN
from taxbench.runs.context import FeatureSet, RunContext
from taxbench.runs.environment import versions
from taxbench.specs.controls import CONTROLS, Variant
from taxbench.specs.run import HeadKey, HeadSpec, RunSpec, head_key
from taxbench.specs.side_files import LossCurve
from taxbench.specs.spec import canonical_json
from taxbench.specs.task import PromptSpec
from taxbench.systems.answering import AnsweringScorer
from taxbench.systems.asking import TextScorer
from taxbench.systems.text_side import MeanImage, TextSide
from taxbench.training.head_state import HeadTrainingState, build_head
from taxbench.training.parallel import side_by_side, threads_of_a_job
from taxbench.training.predict import FittedHead, out_of_memory
from taxbench.training.stack import train_stack
from taxbench.util.errors import TaxbenchError
from taxbench.util.locks import Claims
from taxbench.util.seeds import derive_seed, rng

_STACK = 16
"""Heads trained at once: more would hardly be faster, and all of them are unfinished until the last step."""


StackKey = tuple[object, ...]
"""What the heads of one stack have in common: how the LM is asked, what it is given, and the loss."""


@dataclass(frozen=True, slots=True)
class Asking:
    """How a finished head is asked: in which words, and how they are put to the LM."""

    texts: TermTexts
    prompt: PromptSpec
    translated: bool = False
    """Whether a name that stands for the image is said in these words too, and not as it is taught."""

    @property
    def identity(self) -> tuple[Hashable, ...]:
        """Return what tells it from other ways."""
        return self.texts.questions, self.texts.answers, self.prompt, self.translated


@dataclass(eq=False)
class HeadJob:
    """One head that runs need."""

    key: HeadKey
    label: str
    """What progress bars call it."""
    protocol: Protocol
    features: FeatureSet
    context: RunContext
    asking: Asking
    """How it is asked; it is trained as its key says."""
    failure: TaxbenchError | None = None
    """Why its training broke off; it is the trouble of the runs that need it, and of no other."""

    @property
    def is_missing(self) -> bool:
        """Say whether the head has yet to be trained, as far as is known."""
        trained = self._info.learns != "fit" and self.failure is None
        return trained and not head_path(self.context.cache, self.key).is_file()

    def take_on(self) -> bool:
        """Say whether the head is missing and this process is to train it; no other one will meanwhile."""
        if not self.is_missing or not self._claims.take(self.key.digest):
            return False
        if self.is_missing:
            return True
        self._claims.release(self.key.digest)  # somebody has just finished it
        return False

    def is_elsewhere(self) -> bool:
        """Say whether the head is missing and another process is training it."""
        if self.take_on():
            self._claims.release(self.key.digest)
            return False
        return self.is_missing

    @property
    def _claims(self) -> Claims:
        """Return the claims on heads of the cache."""
        return self.context.shared.claims_in(head_path(self.context.cache, self.key).parent)

    @cached_property
    def state(self) -> HeadTrainingState:
        """Return the head in training, as far as it has come.

        Raises:
            TaxbenchError: it cannot be built.
        """
        untrained = self.untrained()
        module = head_module(self.key.head.name)
        assert isinstance(untrained.head, SoftHead), self.label
        if hasattr(module, "prepare"):
            with _blamed(self.key.head):
                module.prepare(untrained.head.mapping, self._fit_data(untrained.scorer))
        state = HeadTrainingState(untrained.head, self.images, self.protocol, self.key.trainer, f"train {self.label}")
        state.watched = self.key.variant == "none" and not self._info.control
        state.checkpoint = checkpoint_path(self.context.cache, self.key)
        state.resume()
        return state

    @cached_property
    def stack_key(self) -> StackKey:
        """Return what decides with which heads it can be trained.

        Raises:
            TaxbenchError: it cannot be built.
        """
        head, scorer = self.state.head.eval(), self.teaching_scorer
        with torch.no_grad(), _blamed(self.key.head):
            one, k, width = head.mapped(self.images(np.zeros(1, np.int64))).shape
            if (one, width) != (1, scorer.lm.width):
                raise ValueError(f"one image gives ({one}, {k}, {width}), not (1, k, {scorer.lm.width})")
        head.train()
        trainer, texts = self.key.trainer, self.protocol.taught_texts
        asked = texts.questions, texts.answers, self.key.prompt, trainer.order
        return (scorer.lm.digest, *asked, k, type(head), trainer.loss)

    @property
    def scorer(self) -> QuestionScorer:
        """Return the language model that the head is asked with."""
        return self._scorer(self.asking)

    @property
    def teaching_scorer(self) -> QuestionScorer:
        """Return the language model that the head is trained through, the same whatever is asked at test."""
        return self._scorer(self.teaching)

    @property
    def teaching(self) -> Asking:
        """Return how the head is asked in training."""
        return Asking(self.protocol.taught_texts, self.key.prompt)

    def _scorer(self, how: Asking) -> QuestionScorer:
        twin = self.key.seed if self.key.variant == "random_lm" else None
        found = self.context.scorer(self.protocol, self.key.trainer.order, how.prompt, how.texts, twin)
        return found.as_text if self._info.sees == "name" and isinstance(found, AnsweringScorer) else found

    def asked(self, texts: TermTexts, prompt: PromptSpec) -> "HeadJob":
        """Return the same head, to be asked in another way."""
        return replace(self, asking=replace(self.asking, texts=texts, prompt=prompt))

    @cached_property
    def images(self) -> Images:
        """Return what the head sees of images, or of two at a time."""
        return ImagePairs(self._alone, len(self.protocol.leaf)) if self.protocol.task.in_pairs else self._alone

    @cached_property
    def _alone(self) -> Images:
        """Return what the head sees of one image."""
        images: Images = self.features.rows
        if self._info.sees == "name":
            images = NameFeatures(self.protocol.vocabulary.name_of[self.protocol.leaf], self.context.device)
        elif self._info.sees == "nothing":
            images = NoFeatures(len(self.protocol.leaf), self.context.device)
        lm = self.context.lm
        if isinstance(lm, TextSide) and self._info.sees == "features":
            images = lm.seen(images, self._info.system)
        if self.key.variant == "no_image":
            return MeanImage(images, self.protocol.images("train"), len(self.protocol.leaf))
        if self.key.variant == "shuffled_features":
            return ShuffledFeatures(images, self.protocol.splits, rng(self.protocol.seed, "shuffled_features"))
        return images

    def keep(self, state: HeadTrainingState) -> None:
        """Put the trained head into the cache, at once, whatever becomes of those it is trained with."""
        try:
            save_head(self.context.cache, self.key, state.finish(), state.curve())
        except TaxbenchError as error:
            self.failure = error

    @property
    def curve(self) -> LossCurve | None:
        """Return how the loss of the head fell; None: it was not trained, or it is not known."""
        return None if self._info.learns == "fit" else read_curve(self.context.cache, self.key)

    def forget_training(self) -> None:
        """Drop the head in training, and leave it to others; what was kept of it stays."""
        self.__dict__.pop("state", None)
        self._claims.release(self.key.digest)

    def fitted(self) -> FittedHead:
        """Return the finished head, from the cache or fitted now: one just trained is read back as any later run will.

        Raises:
            TaxbenchError: there is none; `failure` where its training broke off.
        """
        if self.failure is not None:
            raise self.failure
        if self._info.learns == "fit":
            return self._remembering(self._closed_form())
        fitted = self.untrained()
        load_head(self.context.cache, self.key, fitted.head)
        return self._remembering(fitted)

    def _remembering(self, fitted: FittedHead) -> FittedHead:
        """Where images look alike to a head, have it answer from what the same head was asked in other runs."""
        if fitted.images.looks is None:
            return fitted
        weights = hashlib.sha256()
        for value in fitted.head.state_dict().values():
            weights.update(value.cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        key = self.key
        asked = (*self.asking.identity, key.trainer.order)
        looks = getattr(fitted.images, "identity", "")  # two mean images look alike each to itself only
        known = (key.head.model_dump_json(), weights.hexdigest(), looks, fitted.scorer.lm.digest, *asked)
        return replace(fitted, answered=self.context.shared.answered.setdefault(known, {}))

    @property
    def _info(self) -> HeadInfo:
        """Return what is known of the job's head without importing it."""
        return head_info(self.key.head.name)

    def untrained(self) -> FittedHead:
        """Return the head with its first weights, ready to be asked."""
        scorer = self.scorer
        return FittedHead(self.new_head(scorer.lm), self.images, scorer)

    def new_head(self, lm: FrozenLM) -> Head:
        """Return the head with its first weights, for a language model that asks nothing yet."""
        with _blamed(self.key.head):
            return build_head(self.key.head, self.images, self.protocol.images("train"), lm, self.key.seed)

    def _closed_form(self) -> FittedHead:
        """Make a head that is not trained through the LM."""
        spec, scorer = self.key.head, self.scorer
        module = head_module(spec.name)
        mean, std = self.images.statistics(self.protocol.images("train"))
        # A name is said in the frame of the question it stands before; what is fitted goes by the frame of training.
        fitted_with = scorer if self._info.sees == "name" else self.teaching_scorer
        data, settings = self._fit_data(fitted_with), module.Settings.model_validate(spec.settings)
        own = scorer.head(spec.name, data, settings, self.protocol) if isinstance(scorer, TextScorer) else None
        if own is not None:
            return FittedHead(own.to(self.context.device).eval(), self.images, scorer, data.chosen)
        with _blamed(spec):
            mapping = nn.Identity() if self._info.system else module.fit(data, settings)
        head: Head = FixedHead(mapping, mean, std)
        if self._info.reads == "labels":
            head = label_head(mapping, mean, std, data, self.asking.texts.names, settings)
        elif self._info.reads == "names":
            head = NameHead(mapping, mean, std, *map(torch.from_numpy, self.protocol.name_shares()))
        elif self._info.reads == "terms":
            head = TermHead(mapping, mean, std)
        return FittedHead(head.to(self.context.device).eval(), self.images, scorer, data.chosen)

    def _fit_data(self, scorer: QuestionScorer) -> FitData:
        """Return what a head is fitted to or prepared by: images, their names, and the scorer's LM."""
        protocol, key, images = self.protocol, self.key, self.images
        train, val = protocol.images("train"), protocol.images("val")
        mean, std = images.statistics(train)
        names = protocol.vocabulary.name_of[protocol.leaf]
        shuffled = f" shuffled {key.seed}" if key.variant == "shuffled_features" else ""
        said = self.asking.texts if self.asking.translated else protocol.taught_texts
        return FitData(
            features=lambda rows: (images(rows) - mean) / std,
            images=train,
            names=names[train],
            val_images=val,
            val_names=names[val],
            texts=said.names[: protocol.vocabulary.n_names],
            lm=scorer.lm,
            said=partial(_said, scorer, said),
            seed=derive_seed(key.seed, "fit", key.head.name),
            cache=self.context.cache,
            own_words=scorer.own_words if isinstance(scorer, TextScorer) else None,
            features_key=f"{self._info.sees} {key.encoder and key.encoder.features}{shuffled}",
            shared=self.context.shared.fits,
            told=protocol.name_shares,
        )


def _said(scorer: QuestionScorer, texts: TermTexts, name: str) -> torch.Tensor:
    """Return the tokens of a name where the image would be, with its article in its language.  # (t,)"""
    return scorer.said(name, texts.phrases[texts.names.index(name)] if texts.language else None)


def head_jobs(
    run: RunSpec, protocol: Protocol, features: FeatureSet, context: RunContext, known: dict[Hashable, HeadJob]
) -> dict[str, HeadJob]:
    """Return the heads of a run by name: its own (`none`) and its controls', which have another LM, features or head.

    Args:
        known: The heads of other runs by their keys' digests and what they are asked; those that are needed again are
            shared, new ones added.
    """
    code = f"{canonical_json(versions().computing)} {threads_of_a_job(context.device)} threads"
    wanted: dict[str, tuple[Variant, HeadSpec]] = {OWN: ("none", run.head)}
    for control in (CONTROLS[name] for name in run.task.controls):
        if control.name == "no_image" and head_info(run.head.name).system:  # nothing of a system is trained
            wanted[control.name] = ("no_image", run.head)
        elif control.changes == "words":
            wanted[control.name] = ("none", run.head)
        elif control.changes:
            wanted[control.name] = (control.variant, head_spec(control.head, {}) if control.head else run.head)
    jobs, prompt = {}, run.language.prompt if run.language else run.prompt
    for name, (variant, head) in wanted.items():
        key = head_key(run, variant, head, code, head_info(head.name).sees == "features")
        label = head_label(run, head.name, variant)
        texts = protocol.nonsense_texts if name == "nonsense" else protocol.asked_texts
        asking = Asking(texts, prompt, translated=name == "translated_name")
        job = HeadJob(key, label, protocol, features, context, asking)
        jobs[name] = known.setdefault((key.digest, *asking.identity), job)
    return jobs


def head_label(run: RunSpec, head: str, control: str) -> str:
    """Name a head of a run for a progress bar."""
    changed = "" if control == OWN else f" ({control.replace('_', ' ')})"
    return f"{head} {run.task.name} seed {run.seed}{changed}"


def fit(wanted: Iterable[HeadJob], later: Iterable[HeadJob], context: RunContext) -> list[HeadJob]:
    """Train those of the wanted heads that are missing, and later ones along with them where stacks have room.

    Those that other processes are training are left to them. What a head becomes does not depend on what is trained
    beside it. One that fails holds its `failure`.

    Returns:
        Those that were trained from their beginning.

    Raises:
        TaxbenchError: one of the wanted heads cannot be built.
    """
    wanted = list(wanted)
    once = {job.key.digest: job for job in wanted}  # what is asked in several ways is one head
    missing = [job for job in once.values() if job.take_on()]
    if not missing:
        return []
    stacks: dict[StackKey, list[HeadJob]] = {}
    try:
        for job in missing:
            stacks.setdefault(job.stack_key, []).append(job)
        share, workers = _STACK, context.shared.workers()
        if workers > 1:
            later = list(later)
            share = -(-len({job.key.digest for job in (*missing, *later) if job.is_missing}) // workers)
        _fill(stacks, missing, later, min(_STACK, share))
        # On a CPU there should be work for two threads; elsewhere stacks wait for each other.
        two = context.device.type == "cpu"
        most = min(_STACK, -(-sum(map(len, stacks.values())) // 2)) if two else _STACK
        groups = [stack[i : i + most] for stack in stacks.values() for i in range(0, len(stack), most)]
        at_once = min(2, len(groups)) if two else 1
        begun = [job for job in chain(*groups) if job.state.step == 0]
        side_by_side([_training(group, context, at_once) for group in groups], context.device, context.report)
    finally:
        for job in chain(missing, *stacks.values()):
            job.forget_training()  # of a stack that broke off nothing half-trained is gone on with
    for job in wanted:
        job.failure = job.failure or once[job.key.digest].failure
    return begun


def _fill(
    stacks: dict[StackKey, list[HeadJob]], missing: Sequence[HeadJob], later: Iterable[HeadJob], room: int
) -> None:
    """Add later heads to stacks that have room for them: this process's share of what is left, where there are more."""
    seeds = {job.key.seed for job in missing}
    seen = {job.key.digest for job in missing}  # tasks that ask it other questions share a head
    for job in later:
        if all(len(stack) >= room for stack in stacks.values()):
            return
        # Of random twins one at a time is in memory.
        other_twin = job.key.variant == "random_lm" and job.key.seed not in seeds
        if job.key.digest in seen or other_twin or not job.take_on():
            continue
        seen.add(job.key.digest)
        with suppress(TaxbenchError):  # told when its turn comes
            if 0 < len(stacks.get(job.stack_key, ())) < room:
                stacks[job.stack_key].append(job)
                continue
        job.forget_training()


def _training(group: Sequence[HeadJob], context: RunContext, at_once: int) -> "partial[None]":
    """Return the training of one stack, each head kept the moment it ends."""
    job_of = {job.state: job for job in group}
    scorer = group[0].teaching_scorer
    return partial(train_stack, list(job_of), scorer, context.report, lambda state: job_of[state].keep(state), at_once)


@contextmanager
def _blamed(head: HeadSpec) -> Iterator[None]:
    """Name the head of another package whose code fails."""
    try:
        yield
    except MISTAKES as error:
        if not head.source or out_of_memory(error):
            raise
        raise package_failure(f"head '{head.name}'", error) from error
