"""Boards made up for tests: invented figures, real shapes. The same every time."""

import hashlib
from dataclasses import replace
from itertools import product
from random import Random
from typing import Any

from taxbench.board.analysis.language_findings import LanguageFinding
from taxbench.board.board import (
    NOTHING,
    Board,
    Entry,
    Estimate,
    GroupAverage,
    Rank,
    Record,
    Reference,
    Row,
    TermRow,
)
from taxbench.board.roles import ROLES, role_of, task_order
from taxbench.specs.result import Evidence, Leak, Similarity, VisualSimilarity
from taxbench.tasks.registry import find_tasks

TERMS = (
    "bird", "clothing", "container", "fish", "fruit", "furniture", "insect", "mammal", "musical instrument",
    "tool", "vegetable", "vehicle", "watercraft", "animal",
)  # fmt: skip
TASKS = tuple(ROLES.values())
SPECS = find_tasks().tasks
MANY_TERMS = (*TERMS, *(f"category {number}" for number in range(15, 54)))
SEEDS = (7, 42, 218)
CONTROL_HEADS = ("no_image", "label_oracle", "text_only")
HOSTILE = (
    '<script>window.hacked=1</script>"\'><img src=x onerror="window.hacked=1">',
    "'; alert(1); //${7*7}{{7*7}}</style></title><svg onload=window.hacked=1>",
    "\u202eevil\u202c \u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627 | `tick` =cmd|'x'!A0 \\input{x} $_^~%&#",
    "W" * 300,
    "line\nbreak\ttab\x00nul\x1b[31m\ud800",
)
"""Names as a stranger might send them: markup, quotes, both directions, 300 letters, control characters."""

_BASE = {"leaf": 0.92, "seen_hypernym": 0.95, "unseen_hypernym": 0.84, "counterfactual_high": 0.79,
         "counterfactual_low": 0.58}  # fmt: skip
_SIMILARITY = {"counterfactual_high": 0.27, "counterfactual_low": 0.06}


def digest(*parts: object) -> str:
    """Return 64 hex digits that follow from the parts."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def figure(random: Random, mean: float, seeds: tuple[int, ...] = SEEDS, spread: float = 0.04) -> Estimate:
    """Return a figure near `mean`, with a spread where there are several seeds."""
    mean = round(min(mean + random.uniform(-0.01, 0.01), 1.0), 6)
    sd = round(random.uniform(0.002, 0.03), 6) if len(seeds) > 1 else None
    return Estimate(mean, sd, round(mean - spread * random.uniform(0.8, 1.2), 6), min(round(mean + spread, 6), 1.0))


def row(task: str, names: dict[str, str], skill: float = 1.0, seeds: tuple[int, ...] = SEEDS,
        terms: tuple[str, ...] = TERMS) -> Row:  # fmt: skip
    """Return one row; `names` gives dataset, lm, encoder, head, features and setting."""
    random = Random(digest(task, sorted(names.items())))
    base, _, level = task.partition("-")
    share = float(level or 0)
    split = SPECS[task].headline
    f1 = figure(random, 0.5 + (_BASE.get(base, 0.9 - 0.25 * share % 1) - 0.5) * skill, seeds)
    assert f1.mean is not None
    twin = figure(random, 0.45, seeds)
    controls = {
        "chance": Estimate(0.492, 0.001, 0.49, 0.494), "random_lm": twin, "no_image": figure(random, 0.4, seeds),
        "shuffled_features": figure(random, 0.43, seeds),
    }  # fmt: skip
    if names["lm"] != "wordnet-lm":
        controls["text_only"] = figure(random, 0.55, seeds)
    table = tuple(_term(random, term, f1.mean, _SIMILARITY.get(base, 0.28), sorted(controls)) for term in terms)
    leaf = figure(random, 0.92 if skill > 0.2 else 0.5, seeds, 0.02)
    return Row(
        task=SPECS[task], **names, seeds=seeds, split=split, leaf_f1=leaf, f1=f1, fitted_f1=NOTHING,
        auroc=figure(random, min(f1.mean + 0.06, 0.99), seeds, 0.03), accuracy=figure(random, f1.mean, seeds),
        controls=controls, transfer=figure(random, f1.mean - (twin.mean or 0), seeds, 0.07),
        heldout_f1=figure(random, f1.mean - 0.1, seeds, 0.1) if task != "leaf" else NOTHING,
        heldout_auroc=figure(random, f1.mean - 0.02, seeds, 0.1) if task != "leaf" else NOTHING,
        similarity=Estimate(_SIMILARITY.get(base, 0.28), 0.001),
        metrics=("macro_f1", "auroc", "accuracy"), primary=tuple(f1.mean for _ in seeds), note="",
        is_control=names["head"] in CONTROL_HEADS,
        split_f1={"leaf": leaf, split: f1}, random_lm_split_f1={split: twin}, terms=table,
        evidence=_evidence(task, share), visual_similarity=VisualSimilarity(
            before=0.28, after=_SIMILARITY.get(base, 0.28),
            categories=tuple(Similarity(hypernym=each.term, before=0.28, after=each.similarity) for each in table)),
        identities={"dataset": digest(names["dataset"])[:8], "encoder": digest(names["encoder"])[:8],
                    "features": digest(names["encoder"], "f")[:8], "lm": digest(names["lm"])[:8],
                    "dtype": "float32", "device": "cpu", "code": "0.1.0", "torch": "2.13.0"},
        records=tuple(_record(task, seed, names) for seed in seeds),
    )  # fmt: skip


def _term(random: Random, term: str, f1: float, similarity: float, controls: list[str]) -> TermRow:
    value = round(min(max(f1 + random.gauss(0, 0.1), 0.1), 1.0), 6)
    return TermRow(term, value, round(min(value + 0.05, 1.0), 6), {name: round(random.uniform(0.3, 0.6), 6) for name in
                   controls}, round(similarity + random.uniform(-0.05, 0.12), 6), 48)  # fmt: skip


def _evidence(task: str, share: float) -> Evidence:
    removed = share if task.startswith("deprivation") else 0.0 if task == "seen_hypernym" else 1.0
    return Evidence(
        n_images=2080, n_leaf_questions=4160, n_hypernym_questions=0 if removed == 1 else 3000,
        removed_fraction=removed, removed_hypernyms=(), heldout_leaves=("crow", "salmon"),
        leaks=(Leak(leaf="duck", hypernym="bird", kind="lemma"),), dropped_leaves=("duck",), fixed_points=("canoe",),
    )  # fmt: skip


def _record(task: str, seed: int, names: dict[str, str]) -> Record:
    key = digest(task, seed, sorted(names.items()))
    folder = f"{names['dataset']}/{names['lm']}/{names['encoder']}/{names['head']}/{task}-{seed}-{key[:8]}"
    return Record(seed, key, digest(key, "predictions"), folder)


def entry(names: dict[str, str], skill: float = 1.0, tasks: tuple[str, ...] = TASKS,
          seeds: tuple[int, ...] = SEEDS, terms: tuple[str, ...] = TERMS) -> Entry:  # fmt: skip
    """Return an entry without a rank."""
    names = {"features": "pooled", "setting": "", **names}
    rows = {role_of(SPECS[task]) or task: row(task, names, skill, seeds, terms) for task in tasks}
    is_control = names["head"] in CONTROL_HEADS
    high, low = (rows[name].f1.mean if name in rows else None for name in ("high", "low"))
    effect = NOTHING if high is None or low is None else Estimate(
        high - low, 0.02 if len(seeds) > 1 else None, high - low - 0.08, high - low + 0.08)  # fmt: skip
    missing = tuple(task for task in TASKS if task not in tasks)
    note = "The image is replaced by one constant vector." if is_control else ""
    return Entry(**names, seeds=seeds, rows=rows, coherence_effect=effect, missing=missing, is_control=is_control,
                 role="unseen", note=note)  # fmt: skip


def without_intervals(given: Entry) -> Entry:
    """Return the entry as it is where no predictions are at hand."""

    def bare(each: Estimate) -> Estimate:
        return Estimate(each.mean, each.sd)

    names = ("leaf_f1", "f1", "auroc", "accuracy", "transfer", "heldout_f1", "heldout_auroc")
    rows = {}
    for task, each in given.rows.items():
        changed: dict[str, Any] = {name: bare(getattr(each, name)) for name in names}
        changed["controls"] = {name: bare(control) for name, control in each.controls.items()}
        rows[task] = replace(each, **changed)
    return replace(given, rows=rows, coherence_effect=bare(given.coherence_effect))


def ranked(entries: list[Entry]) -> tuple[Entry, ...]:
    """Rank entries inside their dataset, ties by overlap of intervals, and sort all of them."""
    found: list[Entry] = []
    for dataset in sorted({each.dataset for each in entries}):
        block = [each for each in entries if each.dataset == dataset]
        full = [each for each in block if not each.missing and not each.is_control and _unseen(each).mean is not None]
        full.sort(key=lambda each: -(_unseen(each).mean or 0))
        band, best = 0, None
        for place, each in enumerate(full, 1):
            own = _unseen(each)
            if best is None or (own.high or 0) < (_unseen(best).low or 0):
                band, best = band + 1, each
            better = sum((_unseen(other).low or 0) > (own.high or 0) for other in full)
            worse = sum((_unseen(other).high or 0) < (own.low or 0) for other in full)
            found.append(at_rank(each, Rank(place, better + 1, len(full) - worse, band, len(full))))
        rest = [each for each in block if all(each is not other for other in full)]
        found += sorted(rest, key=lambda each: (each.is_control, each.lm, each.encoder, each.head))
    return tuple(found)


def at_rank(each: Entry, rank: Rank | None) -> Entry:
    """Return an entry with another rank by unseen F1."""
    return replace(each, rows={**each.rows, "unseen": replace(each.rows["unseen"], rank=rank)})


def _unseen(each: Entry) -> Estimate:
    return each.rows["unseen"].f1


def references() -> tuple[Reference, ...]:
    """Return published figures as they look: curves of three LMs, and controls."""
    found = []
    levels: list[tuple[str, float | None, float]] = [("none", None, 0.0), ("full", 100.0, 0.2)]
    levels += [("random", level, level * 0.002) for level in (10.0, 30.0, 50.0, 70.0, 90.0)]
    levels += [("systematic", level, level * 0.009) for level in (10.0, 20.0, 30.0, 40.0)]
    for lm, best in (("Qwen3-0.6B", 0.9), ("Qwen3-1.7B", 0.92), ("Llama-3.2-1B", 0.94)):
        for kind, level, loss in levels:
            for random_lm in (False, True):
                split = "seen" if kind == "none" else "unseen"
                f1 = best - loss * (2 if random_lm else 1) - (0.05 if random_lm else 0)
                f1 = round(f1, 4)
                found.append(Reference("things", "DINOv2", lm, random_lm, kind, level, "original", split, f1, 0.012, 3,
                                       round(f1 - 0.003, 4), 0.012, 0.39, 53, "arXiv 2603.07474, Table 3"))  # fmt: skip
    for pairing, f1 in (("within_category", 0.7), ("across_category", 0.5)):
        found.append(Reference("things", "SigLIP", "Qwen3-1.7B", False, "full", 100.0, pairing, "unseen", f1, None, 1,
                               None, None, None, 53, "arXiv 2603.07474, Figure 5"))  # fmt: skip
    return tuple(found)


def spoken(system: str, dataset: str, *languages: str, setting: str = "") -> tuple[LanguageFinding, ...]:
    """Return a system's scores in English and other languages."""
    score, less, nothing = (0.95, 0.91, 0.98), (-0.018, -0.04, 0.0), (None, None, None)
    return tuple(
        LanguageFinding(
            system, dataset, "unseen_hypernym", language, "unseen", SEEDS, 14, 0, score,
            less if place else nothing, score, score if place else nothing, nothing, 0,
            {"random_lm": (0.505, 0.43, 0.58), "nonsense": (0.568, 0.46, 0.67)} if place else {}, None,
            setting, setting or "family",
        )
        for place, language in enumerate(("en", *languages))
    )  # fmt: skip


def _board(
    entries: list[Entry], more: list[Row], shown: tuple[Reference, ...], languages: tuple[LanguageFinding, ...] = ()
) -> Board:
    placed = ranked(entries)
    rows = [each for one in placed for each in one.rows.values()] + more
    rows.sort(key=lambda each: (each.place, task_order(each.task)))
    groups = []
    for one in entries:
        why = f"{len(one.missing)} of 5 members missing: {', '.join(one.missing)}" if one.missing else ""
        average = NOTHING if one.missing else Estimate(0.82, 0.01)
        groups.append(GroupAverage("taxonomic", one.rows["unseen"].place, average, why))
    return Board(placed, tuple(rows), tuple(groups), shown, languages)


def board() -> Board:
    """Return thirteen entries over 2 datasets, 3 LMs and 3 encoders.

    Complete ones, incomplete ones, controls, one without a score, one of one seed whose predictions are not at hand.
    """

    def named(lm: str, encoder: str, head: str = "mlp", dataset: str = "pocket", **more: str) -> dict[str, str]:
        names = {"lm": lm, "encoder": encoder, "head": head, "dataset": dataset}
        return {**names, "features": "pooled", "setting": "", **more}

    first, big = named("wordnet-lm", "pocket-conv"), named("qwen3-0.6b", "dinov2-reg-large", dataset="things")
    blank = entry(named("llama-3.2-1b", "pixels"), 0.5, TASKS[:3])
    unseen = replace(blank.rows["unseen"], f1=NOTHING, auroc=NOTHING, transfer=NOTHING, primary=(None,) * 3)
    entries = [
        entry(first, 1.15),
        entry(named("wordnet-lm", "pixels"), 0.6),
        entry(named("qwen3-0.6b", "pocket-conv"), 1.12),
        entry(named("qwen3-0.6b", "dinov2-reg-large", features="256 patch tokens"), 1.3),
        entry(named("llama-3.2-1b", "pocket-conv"), 1.0),
        entry(named("llama-3.2-1b", "dinov2-reg-large", features="256 patch tokens"), 1.25, TASKS[:4]),
        entry(named("wordnet-lm", "pocket-conv", "ridge", setting="alpha=10, epochs=3"), 0.95),
        replace(blank, rows=blank.rows | {"unseen": unseen}),
        entry(named("wordnet-lm", "pocket-conv", "no_image"), 0.1),
        entry(named("wordnet-lm", "pocket-conv", "label_oracle"), 1.35, ("leaf", "unseen_hypernym")),
        entry(big, 1.1, terms=MANY_TERMS),
        entry(named("llama-3.2-1b", "dinov2-reg-large", dataset="things"), 1.1, terms=MANY_TERMS),
        without_intervals(
            entry(named("qwen3-0.6b", "pocket-conv", dataset="things"), 0.7, TASKS[:3:2], (42,), MANY_TERMS)
        ),
    ]  # fmt: skip
    levels = [f"deprivation_random-{level}" for level in (0.1, 0.3, 0.5, 0.7, 0.9)]
    levels += [f"deprivation_systematic_{kind}-{level}" for kind in ("drop", "keep") for level in (0.2, 0.4, 0.6, 0.8)]
    graded = [f"counterfactual_graded-{level}" for level in (0, 0.25, 0.5, 0.75, 1)]
    more = [row(task, first, 1.1) for task in levels + graded] + [row(task, big, 1.0) for task in levels[:5]]
    return _board(entries, more, references(), spoken("wordnet-lm ← mlp ← pocket-conv", "pocket", "de", "zh"))


def hostile_board() -> Board:
    """Return a board on which every name a stranger may choose is hostile."""
    entries = []
    for number, name in enumerate(HOSTILE):
        names = {"lm": name, "encoder": HOSTILE[number - 1], "head": HOSTILE[number - 2], "features": name,
                 "dataset": HOSTILE[number % 2], "setting": HOSTILE[number - 3]}  # fmt: skip
        made = entry(names, 1.0 - number / 10, terms=(*HOSTILE, "bird"))
        rows = {
            task: replace(each, note=name, identities={name: name, **each.identities})
            for task, each in made.rows.items()
        }
        entries.append(replace(made, rows=rows, note=name))
    more = [row(f"deprivation_random-{level}", {**names}, terms=HOSTILE) for level in (0.1, 0.5)]
    shown = tuple(replace(each, lm=name, encoder=name, dataset=name, source=name)
                  for each, name in zip(references(), HOSTILE, strict=False))  # fmt: skip
    return _board(entries, more, shown, spoken(HOSTILE[4], HOSTILE[2], "de"))


def chinese_board() -> Board:
    """Return a board on which people name things in Chinese, and with accents, also such as stand alone (NFD)."""
    names = {"dataset": "照片：动物（第二版）", "head": "映射", "features": "", "setting": "学习率=1e-3"}
    entries = [
        entry({**names, "lm": lm, "encoder": encoder}, 1.1 - number / 10, terms=("鸟", "鱼类", "Käse", "boi\u0302te"))
        for number, (lm, encoder) in enumerate(product(("文本模型", "große Sprache"), ("图像编码器", "très gros")))
    ]
    return _board(entries, [], (), spoken("文本模型 ← 映射 ← 图像编码器", names["dataset"], "zh"))


def large_board(n_entries: int = 30) -> Board:
    """Return many complete entries over 53 terms, and every kind of published figure seven times over (about 420)."""
    entries = [
        entry({"lm": f"lm-{number % 6}", "encoder": f"encoder-{number // 6}", "head": "mlp", "dataset": "things"},
              0.5 + 0.03 * number, terms=MANY_TERMS)
        for number in range(n_entries)
    ]  # fmt: skip
    return _board(entries, [], tuple(replace(each, n_seeds=number) for number in range(1, 8) for each in references()))


def empty_board() -> Board:
    """Return a board with nothing on it."""
    return Board((), ())
