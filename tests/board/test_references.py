"""The published figures: all there, as published, and read with a message where a file is damaged."""

import csv
from collections import Counter
from pathlib import Path

import pytest

from taxbench.board.references import SOURCE, published_folder, read_coherence, references
from taxbench.tasks.registry import find_tasks
from taxbench.util.errors import DataError

SHARED = Path(__file__).parents[3] / "shared" / "data"
needs_shared = pytest.mark.skipif(not (SHARED / "paper_results.csv").exists(), reason="the paper's files are not here")
PAIRINGS = {"original": "original", "within-category": "within_category", "across-category": "across_category",
            "cat-sampled": "category_sampled", "cat-shuffled": "category_shuffled"}  # fmt: skip


def test_every_published_cell_is_there_once() -> None:
    found = references()
    assert len(found) == 420 and {each.source for each in found} == {SOURCE}
    keys = [(e.dataset, e.encoder, e.lm, e.random_lm, e.deprivation, e.level, e.pairing, e.split) for e in found]
    assert len(set(keys)) == 420
    assert Counter(each.deprivation for each in found) == {"full": 42, "random": 210, "systematic": 168}
    assert all(0 < each.f1 <= 1 and each.n_seeds == 3 and each.n_categories > 0 for each in found)


@needs_shared
def test_the_committed_figures_are_those_of_the_papers_files() -> None:
    ours = {
        (e.dataset, e.encoder, e.lm, e.random_lm, e.deprivation, e.level, e.pairing, e.split): e for e in references()
    }
    columns = ("macro_f1", "sd", "macro_f1_twoclass_only", "chance_f1_twoclass_only", "n_seeds", "n_categories")
    with (SHARED / "paper_results.csv").open() as file:
        for line in csv.DictReader(file):
            is_toy = "toy" in line["ablation_type"]
            kind = "full" if is_toy else line["ablation_type"]
            level = None if kind == "full" else float(line["ablation_pct_or_n"])
            names = "things-10" if is_toy else "things", line["encoder"], line["lm"], line["lm_random_init"] == "True"
            each = ours.pop((*names, kind, level, PAIRINGS[line["shuffle"]], line["split"]))
            figures = [each.f1, each.sd, each.two_class_f1, each.chance_f1, each.n_seeds, each.n_categories]
            assert figures == [float(line[column]) for column in columns]
    assert not ours
    copy = published_folder() / "visual_coherence.csv"
    assert copy.read_bytes() == (SHARED / "paper_visual_coherence.csv").read_bytes()


def test_they_agree_with_the_figures_that_tasks_carry() -> None:
    lms = {"qwen3-0.6b": "Qwen3-0.6B", "qwen3-1.7b": "Qwen3-1.7B", "qwen3-8b": "Qwen3-8B", "llama": "Llama-3.2-1B",
           "llama-instruct": "Llama-3.2-1B-Instruct"}  # fmt: skip
    ours = {(e.encoder, e.lm, e.random_lm, e.split): e for e in references()
            if (e.dataset, e.deprivation, e.pairing) == ("things", "full", "original")}  # fmt: skip
    task = find_tasks().tasks["paper_full"]
    assert task.expected is not None
    for cell in task.expected.figures:
        encoder = {"dinov2-reg-large": "DINOv2"}.get(cell.encoder, cell.encoder)
        if cell.lm in lms:
            each = ours[encoder, lms[cell.lm], cell.control == "random_lm", cell.split]
            assert (each.f1, each.two_class_f1) == pytest.approx((cell.macro_f1, cell.two_class), abs=1e-4)


def test_coherence_is_read_by_category_system_and_pairing() -> None:
    found = read_coherence(published_folder() / "visual_coherence.csv")
    assert len({each.category for each in found}) == 53 and len(found) == 53 * 19
    by = {(each.category, each.system, each.pairing): each for each in found}
    bird = by["bird", "dinov2+1b", "original"]
    assert (bird.f1, bird.similarity, bird.text_only) == (0.96385, 0.30063, 0.96649)
    assert by["bird", "dinov2+1b", "across_category"].similarity == 0.11928
    assert by["bird", "siglip+500m", "original"].text_only == 0.85177
    assert by["bird", "dinov2+1b-random", "original"].text_only is None
    assert by["bird", "dinov2+8b", "within_category"].text_only is None


@pytest.mark.parametrize(("text", "message"), [
    ("category,vc_original,f1_a+1b-things\nbird,x,0.5\n", r":2: 'x' in the column 'vc_original' is not a number"),
    ("category,vc_original,f1_a+1b-things\nbird,,0.5\n", r":2: the column 'vc_original' is empty"),
    ("category,vc_original,f1_a+1b-things\nbird,nan,0.5\n", "'nan' in the column"),
    ("category,vc_originel,f1_a+2b-things\nbird,0.2,0.5\n", r"'vc_original' is missing. Did you mean 'vc_originel'\?"),
    ("category,vc_original,f1_a+1b-things\nbird,0.2\n", ":2: the line has fewer or more cells"),
    ("category,vc_original\nbird,0.2\n", "no column is named like f1_SYSTEM-things"),
    ("", "no column is named like"), (b"\xff\xfe\x00", "cannot be read"), (None, "cannot be read"),
    ("category;f1_a-things\n", "separated by semicolons"),
    ("category,f1_a-things,f1_a-things\n", "'f1_a-things' is duplicated"),
    ("category,vc_original,f1_a-things\nbird,0.3,60\n", "has 60; expected 0 to 1"),
    ("category,vc_original,f1_a-things\nbird,-3,0.5\n", "has -3; expected -1 to 1"),
])  # fmt: skip
def test_damaged_tables_and_those_of_another_kind_are_named_with_their_place(
    text: str | bytes | None, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "table.csv"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=message):
        read_coherence(path)


def test_a_table_saved_by_a_spreadsheet_is_read(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("category,vc_original,f1_a-things\nbird,0.3,0.5\n", encoding="utf-8-sig")
    assert [each.category for each in read_coherence(tmp_path / "t.csv")] == ["bird"]
