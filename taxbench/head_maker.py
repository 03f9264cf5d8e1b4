"""The heads of runs: their own and those of their controls, from the cache, fitted, or trained several at a time."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch

from taxbench.data.protocol import Protocol
from taxbench.errors import TaxbenchError, TrainingError
from taxbench.features.rows import DealtRows, Images, NameRows
from taxbench.heads.base import FixedHead, Head, SoftHead
from taxbench.heads.label_head import label_head
from taxbench.heads.lesson import Lesson
from taxbench.heads.moments import Shelf
from taxbench.lms.prompt import Prompt
from taxbench.parts import FeatureSet, Parts, versions
from taxbench.registry.heads import head_info, head_module, head_spec
from taxbench.seeds import derive_seed, rng
from taxbench.specs.base import canonical_json
from taxbench.specs.run import HeadKey, HeadSpec, RunSpec, Variant, head_key
from taxbench.training.build import build_head
from taxbench.training.head_cache import checkpoint_path, head_path, load_head, save_head
from taxbench.training.parallel import side_by_side, threads_of_a_job
from taxbench.training.stack import train_stack
from taxbench.training.trainee import Trainee

_STACK = 16
"""Heads trained at once: more would hardly be faster, and all of them are unfinished until the last step."""


@dataclass(frozen=True, slots=True)
class Job:
    """One run that has to be computed."""

    run: RunSpec
    protocol: Protocol
    features: FeatureSet


@dataclass(frozen=True, slots=True)
class Asked:
    """A head with all that it takes to ask it."""

    head: Head
    images: Images
    prompt: Prompt
    fitted: dict[str, Any]
    """What it chose by itself."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A head that a run needs: its own or a control's."""

    key: HeadKey
    job: Job

    @property
    def label(self) -> str:
        """Name it for a progress bar."""
        run, of = self.job.run, self.key.variant
        control = "" if of == "none" else f" ({of.replace('_', ' ')})"
        return f"{self.key.head.name} {run.task.name} seed {run.seed}{control}"


@dataclass
class HeadMaker:
    """Makes heads for runs, one run after the other, and trains those of later runs along where they fit in."""

    parts: Parts
    _built: dict[str, Asked] = field(default_factory=dict)
    """Heads in memory, finished or not; those that are trained are read from the cache when needed again."""
    _failures: dict[str, TrainingError] = field(default_factory=dict)
    _shelf: Shelf = field(default_factory=Shelf)

    def heads(self, job: Job, later: Iterable[Callable[[], Job]]) -> dict[str, Asked]:
        """Return a run's own head, named `none`, and those of its controls.

        Args:
            later: What makes the runs that come after this one.

        Raises:
            TrainingError: the training of one of them broke off.
        """
        wanted = self._wanted(job)
        with self.parts.timed("train"):
            missing = {each.key.digest: each for each in wanted.values() if not self._finished(each)}
            if missing:
                self._train(missing, later)
        for each in wanted.values():
            if each.key.digest in self._failures:
                raise self._failures[each.key.digest]
        found = {name: self._built[each.key.digest] for name, each in wanted.items()}
        self._built = {key: asked for key, asked in self._built.items() if not isinstance(asked.head, SoftHead)}
        return found

    def _wanted(self, job: Job) -> dict[str, _Wanted]:
        """Return every head that a run takes part with: a control has another LM, other features, or another head."""
        code = f"{canonical_json(versions())} {threads_of_a_job(self.parts.device)} threads"
        others: dict[str, tuple[Variant, HeadSpec]] = {"none": ("none", job.run.head)}
        for control in job.run.task.controls:
            if control in ("random_lm", "shuffled_features"):
                others[control] = (control, job.run.head)
            elif control != "chance":
                others[control] = ("none", head_spec(control, {}))
        return {name: _Wanted(head_key(job.run, variant, head, code), job) for name, (variant, head) in others.items()}

    def _finished(self, wanted: _Wanted) -> bool:
        """Have a head built, and fitted or filled from the cache; say whether it needs no training."""
        digest = wanted.key.digest
        fits = head_info(wanted.key.head.name).learns == "fit"
        if digest not in self._built:
            self._built[digest] = self._fit(wanted) if fits else self._build(wanted)
        return fits or load_head(self.parts.cache, wanted.key, self._built[digest].head)

    def _prompt(self, wanted: _Wanted) -> Prompt:
        lm = self.parts.twin(wanted.key.seed) if wanted.key.variant == "random_lm" else self.parts.lm
        return self.parts.prompt(lm, wanted.job.protocol, wanted.key.trainer.order)

    def _images(self, wanted: _Wanted) -> Images:
        protocol, rows = wanted.job.protocol, wanted.job.features.rows
        if head_info(wanted.key.head.name).sees == "name":
            return NameRows(protocol.vocabulary.name_of[protocol.leaf], self.parts.device)
        if wanted.key.variant == "shuffled_features":
            return DealtRows(rows, protocol.splits, rng(protocol.seed, "shuffled_features"))
        return rows

    def _build(self, wanted: _Wanted) -> Asked:
        images, prompt = self._images(wanted), self._prompt(wanted)
        train = wanted.job.protocol.images("train")
        head = build_head(wanted.key.head, images, train, prompt.lm, wanted.key.seed)
        return Asked(head, images, prompt, {})

    def _fit(self, wanted: _Wanted) -> Asked:
        """Make a head that is not trained through the LM."""
        spec, images, prompt = wanted.key.head, self._images(wanted), self._prompt(wanted)
        module, protocol = head_module(spec.name), wanted.job.protocol
        mean, std = images.statistics(protocol.images("train"))
        lesson = self._lesson(wanted, images, prompt)
        settings = module.Settings.model_validate(spec.settings)
        mapping = module.fit(lesson, settings)
        head: Head
        if head_info(spec.name).reads == "labels":
            head = label_head(mapping, mean, std, lesson, protocol.vocabulary.terms, settings)
        else:
            head = FixedHead(mapping, mean, std)
        return Asked(head.to(self.parts.device).eval(), images, prompt, lesson.chosen)

    def _lesson(self, wanted: _Wanted, images: Images, prompt: Prompt) -> Lesson:
        protocol, key = wanted.job.protocol, wanted.key
        mean, std = images.statistics(protocol.images("train"))
        names = protocol.vocabulary.name_of[protocol.leaf]
        train, val = protocol.images("train"), protocol.images("val")
        dealt = f" shuffled {key.seed}" if key.variant == "shuffled_features" else ""
        return Lesson(
            features=lambda some: (images(some) - mean) / std,
            images=train,
            names=names[train],
            val_images=val,
            val_names=names[val],
            texts=protocol.vocabulary.terms[: protocol.vocabulary.n_names],
            lm=prompt.lm,
            seed=derive_seed(key.seed, "fit", key.head.name),
            cache=self.parts.cache,
            features_key=key.encoder.features + dealt,
            shelf=self._shelf,
        )

    def _train(self, missing: dict[str, _Wanted], later: Iterable[Callable[[], Job]]) -> None:
        """Train heads, and those of later runs that can be trained along with them, in stacks."""
        stacks: dict[tuple[Any, ...], dict[str, _Wanted]] = {}
        for digest, each in missing.items():
            stacks.setdefault(self._alike(each), {})[digest] = each
        for make in later:
            if all(len(stack) >= _STACK for stack in stacks.values()):
                break
            for kind, each in self._also(make, {wanted.key.seed for wanted in missing.values()}):
                if 0 < len(stacks.get(kind, ())) < _STACK:
                    stacks[kind][each.key.digest] = each
        most = min(_STACK, -(-sum(map(len, stacks.values())) // 2))  # so that there is work for two jobs
        lists = [list(stack.values()) for stack in stacks.values()]
        groups = [some[start : start + most] for some in lists for start in range(0, len(some), most)]
        jobs = [partial(self._train_group, group, min(2, len(groups))) for group in groups]
        side_by_side(jobs, self.parts.device, self.parts.report)

    def _alike(self, wanted: _Wanted) -> tuple[Any, ...]:
        """Return what heads of one stack have in common."""
        asked = self._built.setdefault(wanted.key.digest, self._build(wanted))
        with torch.inference_mode():
            k = asked.head.mapped(asked.images(np.zeros(1, np.int64))).shape[1]
        return id(asked.prompt), k, type(asked.head), wanted.key.trainer.loss

    def _also(self, make: Callable[[], Job], seeds: set[int]) -> Iterator[tuple[tuple[Any, ...], _Wanted]]:
        """Yield the heads of a later run that have to be trained, each with what it has in common with its stack."""
        try:
            for each in self._wanted(make()).values():
                digest, key = each.key.digest, each.key
                there = digest in self._failures or head_path(self.parts.cache, key).is_file()
                other_twin = key.variant == "random_lm" and key.seed not in seeds  # one at a time is in memory
                if head_info(key.head.name).learns != "fit" and not there and not other_twin:
                    yield self._alike(each), each
        except TaxbenchError:  # told when its turn comes
            return

    def _train_group(self, group: Sequence[_Wanted], jobs: int) -> None:
        trainees: dict[Trainee, _Wanted] = {}
        for each in group:
            asked = self._built[each.key.digest]
            head, module = asked.head, head_module(each.key.head.name)
            assert isinstance(head, SoftHead), each.label
            if hasattr(module, "prepare"):
                module.prepare(head.mapping, self._lesson(each, asked.images, asked.prompt))
            trainee = Trainee(head, asked.images, each.job.protocol, each.key.trainer, f"train {each.label}")
            trainee.checkpoint = checkpoint_path(self.parts.cache, each.key)
            trainee.resume()
            trainees[trainee] = each

        def finished(trainee: Trainee) -> None:
            key = trainees[trainee].key
            try:
                save_head(self.parts.cache, key, trainee.finish())  # at once, whatever becomes of the others
            except TrainingError as error:
                self._failures[key.digest] = error

        prompt = self._built[group[0].key.digest].prompt
        train_stack(list(trainees), prompt, self.parts.report, finished, jobs)
