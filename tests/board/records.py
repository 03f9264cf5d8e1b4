"""Small records with predictions, made by hand: real shapes and the real scoring, invented margins."""

import hashlib
from pathlib import Path

import numpy as np

from taxbench.heads.loading import head_spec
from taxbench.protocol.questions import QuestionSet
from taxbench.registry.heads import head_info
from taxbench.results.predictions import Predictions, collected, write_predictions
from taxbench.results.records import predictions_file, result_folder, write_result
from taxbench.scoring.metrics import score
from taxbench.specs.result import Evidence, Result, Versions, VisualSimilarity
from taxbench.specs.run import DatasetId, EncoderId, LMId, RunSpec, TrainerSpec
from taxbench.specs.side_files import Timing
from tests.board.boards import SPECS

HYPERNYMS = ("bird", "fish", "fruit", "tool", "vehicle", "vessel")
LEAVES = tuple(f"{hypernym} {number}" for hypernym in HYPERNYMS for number in range(4))


def predictions(seed: int, skill: float, task: str = "unseen_hypernym") -> Predictions:
    """Return answers that are right the more often, the greater the skill; who is asked follows from the seed."""
    random = np.random.default_rng(seed)
    noise = np.random.default_rng(int.from_bytes(hashlib.sha256(f"{seed} {skill} {task}".encode()).digest()[:4]))
    spec = SPECS[task].as_run()
    leaf_of = np.repeat(np.arange(len(LEAVES)), 6)
    images = [f"{LEAVES[leaf]}/{number:03}" for number, leaf in enumerate(leaf_of)]
    parts = {}
    for split in spec.evaluate:
        some = leaf_of >= 16 if split == "heldout_leaf" else leaf_of < 16
        image = np.repeat(np.flatnonzero(some), 2)
        answer = np.tile([True, False], len(image) // 2)
        true = leaf_of[image] if split == "leaf" else len(LEAVES) + leaf_of[image] // 4
        n_terms, first = (16, 0) if split == "leaf" else (len(HYPERNYMS), len(LEAVES))
        wrong = first + (true - first + random.integers(1, n_terms, len(image))) % n_terms
        asked = QuestionSet(image, np.where(answer, true, wrong), answer)
        signed = np.where(answer, 1.0, -1.0)
        names = {"none": skill} | {name: 0.1 for name in spec.controls if name != "chance"}
        margins = {name: signed * each + noise.normal(size=len(image)) for name, each in names.items()}
        parts[split] = asked, margins
    return collected(parts, images, leaf_of, LEAVES, (*LEAVES, *HYPERNYMS))


def record(out: Path, seed: int = 42, skill: float = 1.0, task: str = "unseen_hypernym", **changes: object) -> Result:
    """Write a record and its predictions; `changes` are fields of its run."""
    spec = SPECS[task].as_run()
    run = RunSpec(
        task=spec, dataset=DatasetId(name="made", fingerprint="f0" * 8),
        encoder=EncoderId(name="eye", digest="e0" * 8, features="f0" * 8),
        lm=LMId(name="speaker", digest="10" * 8, dtype="float32"),
        head=head_spec("mlp", {}), trainer=TrainerSpec(), seed=seed,
    ).model_copy(update=changes)  # fmt: skip
    made = predictions(seed, skill, task)
    card, content = score(made, spec.controls), write_predictions(made)
    head = head_info(run.head.name)
    result = Result(
        run=run, note=head.note, is_control=head.control, scores=card.scores, controls=card.controls,
        validation=card.scores["leaf"], categories=card.categories,
        evidence=Evidence(n_images=1, n_leaf_questions=1, n_hypernym_questions=0, removed_fraction=1.0,
                          removed_hypernyms=(), heldout_leaves=(), leaks=(), dropped_leaves=(), fixed_points=()),
        visual_similarity=VisualSimilarity(before=0.3, after=0.2, categories=()),
        predictions=predictions_file(content, made.questions_digest(), len(made)),
        versions=Versions(taxbench="0", numerics="0", python="3", torch="2", transformers="5", numpy="2"),
    )  # fmt: skip
    write_result(result_folder(out, run), result, content, Timing(machine="here", seconds={}))
    return result
