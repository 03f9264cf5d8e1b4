"""The protocol: from a task, a dataset and a seed to the questions of training, validation and test."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from taxbench.datasets.dataset import Dataset, assign_splits
from taxbench.protocol.counterfactual import Measure, Pairing, fixed_points, re_pair
from taxbench.protocol.deprivation import AllowedPairs, apply_deprivation, choose_heldout, true_pairs
from taxbench.protocol.image_pairs import with_second
from taxbench.protocol.leaks import find_leaks
from taxbench.protocol.property_questions import AskedProperty, asked_property
from taxbench.protocol.questions import QuestionSampler, QuestionSet, Vocabulary
from taxbench.protocol.term_texts import TermTexts, texts_in
from taxbench.specs.result import Evidence, Leak
from taxbench.specs.task import SplitName, TaskSpec
from taxbench.util.errors import DataError
from taxbench.util.seeds import rng

_NO_SPLIT = (
    "pictures that come in train/ and test/ need both, and two of a leaf in train/; without such folders, three of a "
    "leaf are enough for all splits."
)


@dataclass(frozen=True)
class Protocol:
    """Everything a run asks. A pure function of (task, dataset, seed), and of the features where a task is graded."""

    task: TaskSpec
    dataset: Dataset
    seed: int
    coherence: Measure | None = None
    """Measures a re-pairing's visual similarity; graded tasks need it."""

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Return all terms that can be asked."""
        return Vocabulary(self.dataset.taxonomy, self.asked_property.questions if self.asked_property else ())

    @cached_property
    def asked_property(self) -> AskedProperty | None:
        """Return what is asked at test in the place of hypernyms; None: hypernyms are.

        Raises:
            DataError: the dataset does not know the task's property.
        """
        asks = self.task.property_questions
        return None if asks is None else asked_property(asks, self.dataset)

    @cached_property
    def questions(self) -> tuple[str, ...]:
        """Return the question of every term, as the test asks it."""
        return self.asked_texts.questions

    @cached_property
    def taught(self) -> tuple[str, ...]:
        """Return the questions of names and hypernyms: all that training may ask, whatever a task asks at test."""
        return self.taught_texts.questions

    @cached_property
    def taught_texts(self) -> TermTexts:
        """Return names and hypernyms as training asks them.

        Raises:
            UsageError: its language is unknown.
        """
        return self._texts_in(self.task.questions.language.train)

    @cached_property
    def asked_texts(self) -> TermTexts:
        """Return all terms as the test asks them; a property's wordings, which are English, are questions themselves.

        Raises:
            UsageError: its language is unknown.
        """
        languages, wordings = self.task.questions.language, self.vocabulary.terms[self.vocabulary.n_taught :]
        own = self.taught_texts if languages.train == languages.test else self._texts_in(languages.test)
        return own if not wordings else replace(
            own,
            questions=own.questions + wordings,
            names=own.names + wordings,
            phrases=own.phrases + wordings,
            known=np.append(own.known, np.ones(len(wordings), bool)),
        )  # fmt: skip

    @cached_property
    def nonsense_texts(self) -> TermTexts:
        """Return the same with words that do not exist in the place of hypernyms."""
        return self.asked_texts.nonsense(self.vocabulary.is_hypernym(np.arange(len(self.vocabulary.terms))))

    def _texts_in(self, code: str) -> TermTexts:
        """Return names and hypernyms in a language."""
        terms = self.vocabulary.terms[: self.vocabulary.n_taught]
        return texts_in(code, self.task.questions, terms, self.dataset.forms)

    @cached_property
    def unlabelled(self) -> tuple[str, ...]:
        """Return the terms that have no reviewed label in a language that they would be taught or asked in, sorted."""
        if self.task.questions.language.is_english:
            return ()
        n = self.vocabulary.n_taught
        known = self.taught_texts.known & self.asked_texts.known[:n]
        return tuple(sorted({term for term, there in zip(self.vocabulary.terms[:n], known, strict=True) if not there}))

    @cached_property
    def asks_names(self) -> bool:
        """Say whether the test asks names in its language: without a label for any trained leaf it asks as training."""
        return bool(self.asked_texts.known[self.vocabulary.name_of[self.trained]].any())

    @cached_property
    def pairing(self) -> Pairing:
        """Return the leaf name that each image class is given."""
        if self.task.counterfactual.kind == "none":
            return {leaf: leaf for leaf in self.dataset.taxonomy.leaves}
        return re_pair(self.dataset.taxonomy, self.task.counterfactual, self.seed, self.coherence)

    @cached_property
    def leaf(self) -> np.ndarray:
        """Return the leaf index of every image after the re-pairing.  # (n,)"""
        index = {name: i for i, name in enumerate(self.dataset.taxonomy.leaves)}
        return np.array([index[self.pairing[image.leaf]] for image in self.dataset.images])

    @cached_property
    def heldout(self) -> tuple[str, ...]:
        """Return the leaves that training never names."""
        return choose_heldout(self.dataset.taxonomy, self.task.heldout_leaves, self.seed, self._pictured)

    @cached_property
    def leaks(self) -> tuple[Leak, ...]:
        """Return the names of leaves, not held out, whose question names a hypernym that training is denied."""
        held = {self.dataset.taxonomy.display_name(leaf) for leaf in self.heldout}
        return tuple(leak for leak in self._same_words
                     if leak.hypernym in self.denied and leak.leaf not in held)  # fmt: skip

    @cached_property
    def denied(self) -> tuple[str, ...]:
        """Return the hypernyms of which training has no positive question: those that the leak guard watches over."""
        taxonomy = self.dataset.taxonomy
        out = {*self.heldout, *self.leaves_without_images}
        kept = [leaf not in out for leaf in taxonomy.leaves]
        left = (self._allowed.asked & true_pairs(taxonomy))[kept].any(0)
        return tuple(name for name, any_left in zip(taxonomy.hypernyms, left, strict=True) if not any_left)

    @cached_property
    def dropped(self) -> tuple[str, ...]:
        """Return the leaves that are left out of training because of a leak."""
        leaking = {leak.leaf for leak in self.leaks} if self.task.leaks == "drop" else set()
        taxonomy = self.dataset.taxonomy
        return tuple(leaf for leaf in taxonomy.leaves if taxonomy.display_name(leaf) in leaking)

    @cached_property
    def leaves_without_images(self) -> tuple[str, ...]:
        """Return the leaves, not held out, that no training image shows: training cannot name them."""
        return tuple(leaf for leaf in self.dataset.taxonomy.leaves
                     if leaf not in self._pictured and leaf not in self.heldout)  # fmt: skip

    @cached_property
    def trained(self) -> np.ndarray:
        """Return the indices of the leaves that training names, sorted.  # (l,)

        Raises:
            DataError: they are fewer than two.
        """
        out, said = {*self.heldout, *self.dropped, *self.leaves_without_images}, self.taught_texts.known
        leaves = zip(self.dataset.taxonomy.leaves, self.vocabulary.name_of, strict=True)
        kept = np.array([i for i, (leaf, name) in enumerate(leaves) if leaf not in out and said[name]], np.int64)
        names = {self.vocabulary.name_of[leaf] for leaf in kept}
        if len(names) < 2:
            raise DataError(
                f"Of the {len(self.dataset.taxonomy.leaves)} leaves of '{self.dataset.name}', {len(self.heldout)} are "
                f"held out, {len(self.dropped)} say a denied hypernym and {len(self.leaves_without_images)} have no "
                f"training picture{self._unsaid()}: {len(names)} are left to train on, and at least 2 are needed."
            )
        return kept

    def images(self, split: str, *, heldout: bool = False) -> np.ndarray:
        """Return the indices of a split's images, of trained leaves or of held-out ones."""
        wanted = self._held_indices if heldout else self.trained
        return np.flatnonzero((self.splits == split) & np.isin(self.leaf, wanted))

    @cached_property
    def _held_indices(self) -> np.ndarray:
        """Return the indices of the leaves that training never names.  # (l,)"""
        leaves = self.dataset.taxonomy.leaves
        return np.array([i for i, leaf in enumerate(leaves) if leaf in self.heldout], np.int64)

    def name_shares(self) -> tuple[np.ndarray, np.ndarray]:
        """Return which share of a name's training images has a term, and of all training images a name.

        Leaves that share a name may differ in their hypernyms. What is not known of a leaf is as likely as not.

        Returns:
            # (names, v) float32, (names,) float32
        """
        n, leaf = self.vocabulary.n_names, self.leaf[self.images("train")]
        true = true_pairs(self.dataset.taxonomy).astype(float)
        if self.asked_property:
            answers = self.asked_property.answers
            true = np.hstack([true, np.where(answers < 0, 0.5, answers)])
        name, has = self.vocabulary.name_of[leaf], true[leaf]  # (i,), (i, h)
        count = np.bincount(name, minlength=n)
        hypernyms = np.zeros((n, has.shape[1]))
        np.add.at(hypernyms, name, has)
        shares = np.hstack([np.eye(n), hypernyms / np.maximum(count, 1)[:, None]])
        return shares.astype(np.float32), (count / len(leaf)).astype(np.float32)

    def train_questions(self, epoch: int) -> QuestionSet:
        """Draw the questions of one epoch; positives stay, negatives are drawn anew (unless they are `fixed`).

        Raises:
            DataError: there are not two leaves to train on.
        """
        images = self.images("train")
        generator = rng(self.seed, "train", epoch)
        return self._shown(QuestionSet.concat(
            [self._ask(sampler, images, generator) for sampler in (self._leaf_sampler, self._train_sampler)]
        ), images, generator)  # fmt: skip

    def _shown(self, asked: QuestionSet, images: np.ndarray, generator: np.random.Generator) -> QuestionSet:
        """Return questions with a second image beside each, where the task shows two."""
        if not self.task.questions.second_image:
            return asked
        return with_second(asked, self.vocabulary.name_of[self.leaf], images, generator)

    def validation(self, as_taught: bool = False) -> QuestionSet:
        """Return leaf questions about validation images of trained leaves, asked as `asks_names` says.

        Args:
            as_taught: All of them in the language of training, whatever the test's is: what training may go by.

        Raises:
            DataError: there is no such image.
        """
        return self._leaf_questions("val", as_taught)

    def test(self, split: SplitName) -> QuestionSet:
        """Return the test questions of one split.

        `leaf`: trained leaves asked by name; `seen` and `unseen`: their hypernyms, as training might or might not
        ask them; `heldout_leaf`: the hypernyms of images whose leaf training never named. Hypernym questions are drawn
        once for all test images and then divided, so tasks that differ in the evidence only ask the same questions.
        A property task asks of its property in the place of hypernyms.

        Raises:
            DataError: the split has no question.
        """
        if split == "leaf":
            return self._leaf_questions("test")
        asked = self._test_properties if self.asked_property else self._test_hypernyms
        images, n = self.images("test", heldout=split == "heldout_leaf"), len(self.dataset.images)
        rows = np.isin(asked.image % n, images) & ((asked.image < n) | np.isin(asked.image // n - 1, images))
        rows &= self.asked_texts.known[asked.term]
        if split != "heldout_leaf" and self.asked_property is None:
            unseen = self._allowed.unseen[self.leaf[asked.image], asked.term - self.vocabulary.n_names]
            rows &= unseen == (split == "unseen")
        if not rows.any():
            raise DataError(
                f"There is no test question for the split '{split}' of '{self.dataset.name}': {self._why(split)}"
            )
        return asked.where(rows)

    def evidence(self) -> Evidence:
        """Say what training sees."""
        asked = self.train_questions(0)
        hypernym = self.vocabulary.is_hypernym(asked.term)
        images, true = self.images("train"), true_pairs(self.dataset.taxonomy)
        digests = {self.dataset.images[image].digest for image in images}
        possible, kept = (int(table[self.leaf[images]].sum()) for table in (true, true & self._allowed.asked))
        return Evidence(
            n_images=len(images),
            n_leaf_questions=int((~hypernym).sum()),
            n_hypernym_questions=int(hypernym.sum()),
            removed_fraction=round(1 - kept / possible, 6) if possible else None,
            removed_hypernyms=self.denied if self.task.deprivation.kind == "systematic" else (),
            heldout_leaves=self.heldout,
            leaks=self.leaks,
            dropped_leaves=self.dropped,
            unpictured_leaves=self.leaves_without_images,
            unasked_leaves=self.asked_property.unasked if self.asked_property else (),
            seen_images=sum(self.dataset.images[i].digest in digests for i in np.flatnonzero(self.splits == "test")),
            fixed_points=fixed_points(self.pairing) if self.task.counterfactual.kind != "none" else (),
        )

    @cached_property
    def splits(self) -> np.ndarray:
        """Return the split of every image.  # (n,) str"""
        return assign_splits(self.dataset, self.seed)

    @cached_property
    def _pictured(self) -> frozenset[str]:
        """Return the leaves that a training image shows, after the re-pairing."""
        leaves = self.dataset.taxonomy.leaves
        return frozenset(leaves[index] for index in np.unique(self.leaf[self.splits == "train"]))

    @cached_property
    def _allowed(self) -> AllowedPairs:
        """Return the pairs of leaf and hypernym that the task's deprivation, and labels to ask, leave to training."""
        left = apply_deprivation(self.dataset.taxonomy, self.task.deprivation, self.seed)
        said = self.taught_texts.known[self.vocabulary.n_names :]
        return left if said.all() else AllowedPairs(left.asked & said, left.unseen | ~said)

    @cached_property
    def _same_words(self) -> tuple[Leak, ...]:
        """Return every leaf name and hypernym that say the same."""
        n, terms = self.vocabulary.n_names, self.vocabulary.terms[: self.vocabulary.n_taught]
        return find_leaks(
            dict(zip(terms[:n], self.taught[:n], strict=True)), dict(zip(terms[n:], self.taught[n:], strict=True))
        )

    @cached_property
    def _leaf_sampler(self) -> QuestionSampler:
        """Return which names may be asked of trained leaves."""
        names = self.vocabulary.name_of
        true = np.zeros((len(names), self.vocabulary.n_taught), bool)
        wrong = np.zeros_like(true)
        true[self.trained, names[self.trained]] = True
        wrong[np.ix_(self.trained, np.unique(names[self.trained]))] = True
        related = true_pairs(self.dataset.taxonomy).astype(np.float32)  # (l, h)
        shared = np.zeros((self.vocabulary.n_names, related.shape[1]), np.float32)
        np.maximum.at(shared, names, related)
        return self._with_negatives(true, wrong & ~true, shared @ shared.T > 0, "leaves")

    @cached_property
    def _train_sampler(self) -> QuestionSampler:
        """Return which hypernyms training asks of which leaves.

        One of which no true question is left is not asked at all, or training would teach that it is never true; unless
        that is the task's point (negatives: keep) or was published so (unit: concept).
        """
        deprivation, asked = self.task.deprivation, self._allowed.asked
        keep = deprivation.kind == "systematic" and deprivation.negatives == "keep"
        if not keep and getattr(deprivation, "unit", "pair") == "pair":
            asked = asked & (asked & true_pairs(self.dataset.taxonomy))[self.trained].any(0)
        return self._hypernym_sampler(asked, "taught")

    @cached_property
    def _test_hypernyms(self) -> QuestionSet:
        """Return hypernym questions about all test images."""
        sampler = self._hypernym_sampler(np.ones_like(self._allowed.asked), "test")
        return self._ask(sampler, np.flatnonzero(self.splits == "test"), rng(self.seed, "test", "hypernyms"))

    @cached_property
    def _test_properties(self) -> QuestionSet:
        """Return questions about the task's property of all test images."""
        assert self.asked_property is not None
        images = np.flatnonzero(self.splits == "test")
        draw = rng(self.seed, "test", "properties")
        if self.asked_property.partners:
            parts = [images[np.isin(self.leaf[images], some)] for some in (self.trained, self._held_indices)]
            n = len(self.dataset.images)
            return QuestionSet.concat(
                [self.asked_property.ask_pairs(x, self.leaf[x], self.vocabulary.n_taught, n, draw) for x in parts]
            )
        return self.asked_property.ask(images, self.leaf[images], self.vocabulary.n_taught, draw)

    def _hypernym_sampler(self, allowed: np.ndarray, purpose: str) -> QuestionSampler:
        """Return the sampler of hypernym questions among the allowed pairs of leaf and term."""
        pairs = true_pairs(self.dataset.taxonomy)  # (l, h)
        names = np.zeros((len(pairs), self.vocabulary.n_names), bool)
        true, wrong = np.hstack([names, pairs & allowed]), np.hstack([names, ~pairs & allowed])
        together = (pairs.T.astype(np.float32) @ pairs) > 0  # (h, h): some leaf has both
        near = (together.astype(np.float32) @ together) > 0
        related = np.zeros((true.shape[1], true.shape[1]), bool)
        related[self.vocabulary.n_names :, self.vocabulary.n_names :] = near
        return self._with_negatives(true, wrong, related, purpose)

    def _with_negatives(
        self, true: np.ndarray, wrong: np.ndarray, related: np.ndarray, purpose: str
    ) -> QuestionSampler:
        """Apply the task's choice of negatives; a term that says the same as a true one is no wrong answer."""
        if self.task.leaks == "drop":
            wrong = wrong & ~self._same_words_table
        sampler = QuestionSampler(true, wrong, related if self.task.questions.negatives == "sibling" else None)
        fixed = self.task.questions.negatives == "fixed"
        return sampler.fixed(self.task.questions.negatives_per_positive, self.seed, purpose) if fixed else sampler

    @cached_property
    def _same_words_table(self) -> np.ndarray:
        """Say which terms are another word for the name or a hypernym of each leaf.  # (l, v) bool"""
        taxonomy, vocabulary = self.dataset.taxonomy, self.vocabulary
        table = np.zeros((len(taxonomy.leaves), vocabulary.n_taught), bool)
        pairs = true_pairs(taxonomy)
        for leak in self._same_words:
            name = vocabulary.terms.index(leak.leaf)
            column = taxonomy.hypernyms.index(leak.hypernym)
            table[pairs[:, column], name] = True  # a crow is no negative for the leaf "bird"
            table[vocabulary.name_of == name, vocabulary.n_names + column] = True  # nor the leaf "bird" for birds
        return table

    def _ask(self, sampler: QuestionSampler, images: np.ndarray, generator: np.random.Generator) -> QuestionSet:
        """Draw the task's questions about images, positives with negatives, from a sampler."""
        questions = self.task.questions
        drawn_with = None if questions.negatives == "fixed" else generator
        distinct = questions.negatives == "distinct"
        return sampler.sample(images, self.leaf[images], questions.negatives_per_positive, drawn_with, distinct)

    def _why(self, split: SplitName) -> str:
        """Say why a split has no question about hypernyms, or about the task's property."""
        if not self.dataset.taxonomy.hypernyms and self.asked_property is None:
            return "its taxonomy has no hypernym."
        if not self.asked_texts.known[self.vocabulary.n_names :].any():
            return f"no hypernym of it has a reviewed label in the language '{self.task.questions.language.test}'."
        if not (self.splits == "test").any():
            return _NO_SPLIT
        if split == "heldout_leaf" and not self.heldout:
            return (
                "no leaf could be held out, since every hypernym keeps a trained leaf. Add leaves under its hypernyms, "
                "or write a task file ('taxbench new') that says heldout_leaves: 0 and evaluates no heldout_leaf."
            )
        return "the task's evidence and the dataset's taxonomy leave none."

    def _leaf_questions(self, split: str, as_taught: bool = False) -> QuestionSet:
        """Draw the leaf questions of a split; raise DataError where it has no image."""
        images = self.images(split)
        if not len(images):
            raise DataError(f"The dataset '{self.dataset.name}' has no image in the split '{split}': {_NO_SPLIT}")
        asked = self._ask(self._leaf_sampler, images, rng(self.seed, split, "leaf"))
        asked = self._shown(asked, images, rng(self.seed, split, "second"))
        own = self.asks_names and not as_taught
        return asked.where(self.asked_texts.known[asked.term]) if own else asked

    def _unsaid(self) -> str:
        """Say how many leaves have no label in the language of training, where there are any."""
        count = int((~self.taught_texts.known[self.vocabulary.name_of]).sum())
        language = self.task.questions.language.train
        return f", {count} have no reviewed label in the language of training, '{language}'" if count else ""
