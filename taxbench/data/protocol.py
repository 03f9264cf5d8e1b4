"""The protocol: from a task, a dataset and a seed to the questions of training, validation and test."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from taxbench.data.counterfactual import Pairing, fixed_points, re_pair
from taxbench.data.dataset import Dataset, assign_splits
from taxbench.data.questions import QuestionSet, Vocabulary, ask_hypernyms, ask_leaves, render_question
from taxbench.data.taxonomy import Taxonomy
from taxbench.errors import DataError
from taxbench.seeds import rng
from taxbench.specs.result import Evidence
from taxbench.specs.task import SplitName, TaskSpec


@dataclass(frozen=True)
class Protocol:
    """Everything a run asks. A pure function of (task, dataset, seed)."""

    task: TaskSpec
    dataset: Dataset
    seed: int

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Return all terms that can be asked."""
        return Vocabulary(self.dataset.taxonomy)

    @cached_property
    def questions(self) -> tuple[str, ...]:
        """Return the question of every term, as text."""
        return tuple(render_question(self.task.questions.template, term) for term in self.vocabulary.terms)

    @cached_property
    def pairing(self) -> Pairing:
        """Return the leaf name that each image class is given."""
        return re_pair(self.dataset.taxonomy, self.task.counterfactual, self.seed)

    @cached_property
    def leaf(self) -> np.ndarray:
        """Return the leaf index of every image after the re-pairing.  # (n,)"""
        index = {name: i for i, name in enumerate(self.dataset.taxonomy.leaves)}
        return np.array([index[self.pairing[image.leaf]] for image in self.dataset.images])

    @cached_property
    def heldout(self) -> tuple[str, ...]:
        """Return the leaves that training never names."""
        return choose_heldout(self.dataset.taxonomy, self.task.heldout_leaves, self.seed)

    @cached_property
    def dropped(self) -> tuple[str, ...]:
        """Return trained leaves whose question would ask a hypernym that training may not see."""
        if self.task.deprivation.kind == "none":
            return ()
        n = self.vocabulary.n_leaves
        denied = {text.lower() for text in self.questions[n:]}
        return tuple(leaf for leaf, text in zip(self.dataset.taxonomy.leaves, self.questions[:n], strict=True)
                     if text.lower() in denied)  # fmt: skip

    @cached_property
    def trained(self) -> np.ndarray:
        """Return the indices of the leaves that training names, sorted.  # (l,)"""
        out = {*self.heldout, *self.dropped}
        kept = np.array([i for i, leaf in enumerate(self.dataset.taxonomy.leaves) if leaf not in out])
        if len(kept) < 2:
            raise DataError(
                f"Only {len(kept)} leaves are left to train on; at least 2 are needed. Lower heldout_leaves."
            )
        return kept

    def images(self, split: str, *, heldout: bool = False) -> np.ndarray:
        """Return the indices of a split's images, of trained leaves or of held-out ones."""
        leaves = self.dataset.taxonomy.leaves
        wanted = np.array([i for i, leaf in enumerate(leaves) if leaf in self.heldout]) if heldout else self.trained
        return np.flatnonzero((self._splits == split) & np.isin(self.leaf, wanted))

    def train_questions(self, epoch: int) -> QuestionSet:
        """Draw the questions of one epoch; positives stay, negatives are drawn anew.

        Raises:
            DataError: no image is left to train on.
        """
        images = self.images("train")
        if not len(images):
            raise DataError(f"The dataset '{self.dataset.name}' has no training image.")
        generator = rng(self.seed, "train", epoch)
        parts = [ask_leaves(images, self.leaf[images], self.trained, self._negatives, generator)]
        if self.task.deprivation.kind == "none":
            parts.append(ask_hypernyms(images, self.leaf[images], self.vocabulary, self._negatives, generator))
        return QuestionSet.concat(parts)

    def validation(self) -> QuestionSet:
        """Return leaf questions about validation images of trained leaves."""
        return self._leaf_questions("val")

    def test(self, split: SplitName) -> QuestionSet:
        """Return the test questions of one split.

        `leaf`: trained leaves asked by name; `seen`/`unseen`: their hypernyms; `heldout_leaf`: the hypernyms of
        images whose leaf training never named.

        Raises:
            DataError: the split has no image.
        """
        if split == "leaf":
            return self._leaf_questions("test")
        images = self.images("test", heldout=split == "heldout_leaf")
        if not len(images):
            raise DataError(f"The dataset '{self.dataset.name}' has no test image for the split '{split}'.")
        generator = rng(self.seed, "test", split)
        return ask_hypernyms(images, self.leaf[images], self.vocabulary, self._negatives, generator)

    def evidence(self) -> Evidence:
        """Say what training sees."""
        asked = self.train_questions(0)
        hypernym = self.vocabulary.is_hypernym(asked.term)
        return Evidence(
            n_images=len(np.unique(asked.image)),
            n_leaf_questions=int((~hypernym).sum()),
            n_hypernym_questions=int(hypernym.sum()),
            removed_fraction=0.0 if self.task.deprivation.kind == "none" else 1.0,
            heldout_leaves=self.heldout,
            dropped_leaves=self.dropped,
            fixed_points=fixed_points(self.pairing) if self.task.counterfactual.kind != "none" else (),
        )

    @cached_property
    def _splits(self) -> np.ndarray:
        return assign_splits(self.dataset, self.seed)

    @property
    def _negatives(self) -> int:
        return self.task.questions.negatives_per_positive

    def _leaf_questions(self, split: str) -> QuestionSet:
        images = self.images(split)
        if not len(images):
            raise DataError(f"The dataset '{self.dataset.name}' has no image in the split '{split}'.")
        generator = rng(self.seed, split, "leaf")
        return ask_leaves(images, self.leaf[images], self.trained, self._negatives, generator)


def choose_heldout(taxonomy: Taxonomy, fraction: float, seed: int) -> tuple[str, ...]:
    """Choose the leaves to keep out of training, spread evenly over groups of leaves with the same hypernyms.

    Every hypernym keeps at least one trained leaf, so fewer than `fraction` may be chosen from a thin taxonomy.
    """
    generator = rng(seed, "heldout_leaves")
    groups: dict[tuple[str, ...], list[str]] = {}
    for leaf in generator.permutation(np.array(taxonomy.leaves, dtype=object)):
        groups.setdefault(taxonomy.hypernyms_of[leaf], []).append(leaf)
    rounds = [leaf for rank in range(max(map(len, groups.values())))
              for group in groups.values() for leaf in group[rank : rank + 1]]  # fmt: skip
    left = {hypernym: len(leaves) for hypernym, leaves in taxonomy.leaves_of.items()}
    chosen: list[str] = []
    for leaf in rounds:
        if len(chosen) >= round(fraction * len(taxonomy.leaves)):
            break
        if all(left[hypernym] > 1 for hypernym in taxonomy.hypernyms_of[leaf]):
            chosen.append(leaf)
            for hypernym in taxonomy.hypernyms_of[leaf]:
                left[hypernym] -= 1
    return tuple(sorted(chosen))
