"""The page of answers in a real browser: what it shows is what the predictions say, and everyone can use it."""

import json
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from taxbench.board.inside import InsideHead, NearestWords
from taxbench.board.page import answers
from taxbench.board.page.answers import AnsweredResult, answers_page
from taxbench.cli.main import call
from taxbench.datasets.dataset import Dataset, ImageRecord
from taxbench.results.predictions import Predictions, half
from taxbench.specs.side_files import LossCurve, TrainingLosses
from taxbench.taxonomy.taxonomy import Taxonomy
from taxbench.util.progress import QUIET
from tests.board import boards
from tests.board.page.test_page import CHROMIUM, PHONE, axe, browser, opened, playwright, width
from tests.board.records import LEAVES, predictions, record

if not CHROMIUM:
    pytest.skip("no Chromium on this machine (apt-get install chromium)", allow_module_level=True)
_ = browser  # a fixture
FIRST_PAINT = """new Promise(found => new PerformanceObserver(list => {
    const first = list.getEntriesByName('first-contentful-paint')[0];
    if (first) found(first.startTime);
}).observe({type: 'paint', buffered: true}))"""
Files = dict[str, Path]


def _colour(image: ImageRecord) -> Image.Image:
    return Image.new("RGB", (8, 8), (LEAVES.index(image.leaf) * 10, 90, 160))


def pictures(folder: Path | None = None) -> Dataset:
    """Return pictures of one colour a leaf: drawn, or as files in a folder."""
    images = [ImageRecord(f"{leaf}/{6 * i + n:03}", leaf, leaf) for i, leaf in enumerate(LEAVES) for n in range(6)]
    taxonomy = Taxonomy({leaf: (leaf.split()[0],) for leaf in LEAVES})
    if folder is None:
        return Dataset("made", tuple(images), taxonomy, "test", _colour)
    for image in images:
        path = folder / f"{image.id}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        _colour(image).save(path)
    return Dataset("made", tuple(images), taxonomy, "test", _colour, file=lambda image: folder / f"{image.id}.png")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[AnsweredResult]:
    out, shown = tmp_path_factory.mktemp("records"), []
    for seed, skill in ((1, 0.8), (1, 1.1)):
        result = record(out / str(skill), seed, skill)
        shown.append(AnsweredResult(result, predictions(seed, skill), pictures()))
    return shown


def large(shown: AnsweredResult) -> AnsweredResult:
    """Return 20,000 answers about 5,000 pictures of 1,200 leaves, and 53 terms."""
    draw, n = np.random.default_rng(0), 20_000
    leaves, terms = tuple(f"leaf {i:04}" for i in range(1200)), tuple(f"term {i:02}" for i in range(53))
    answer = draw.random(n) < 0.5
    margins = {name: half(draw.normal(0, 3, n) + np.where(answer, 2, -2)) for name in shown.predictions.margins}
    return replace(shown, pictures=None, predictions=Predictions(
        ("unseen",), tuple(f"image {i}" for i in range(5000)), leaves, terms,
        draw.integers(0, 1200, 5000).astype(np.uint16), np.zeros(n, np.uint8),
        draw.integers(0, 5000, n).astype(np.uint16), draw.integers(0, 53, n).astype(np.uint8), answer, margins,
    ))  # fmt: skip


def hostile(shown: AnsweredResult) -> AnsweredResult:
    """Return answers about leaves, terms and pictures with names as a stranger might send them."""
    swap = dict(zip(("bird", "fish", "fruit"), (boards.HOSTILE[0], boards.HOSTILE[1], boards.HOSTILE[2]), strict=True))
    names = {"terms": shown.predictions.terms, "leaves": shown.predictions.leaves, "images": shown.predictions.images}
    changed = {key: tuple(swap.get(each, f"{boards.HOSTILE[0]}{each}" if key != "terms" else each) for each in all_of)
               for key, all_of in names.items()}  # fmt: skip
    lm = shown.result.run.lm.model_copy(update={"name": boards.HOSTILE[1]})
    run = shown.result.run.model_copy(update={"lm": lm})
    result = shown.result.model_copy(update={"run": run})
    return AnsweredResult(result, replace(shown.predictions, **changed), None)


@pytest.fixture(scope="module")
def files(two: list[AnsweredResult], tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("answers")
    photos = [replace(two[0], pictures=pictures(folder / "photos"))]
    made = {"one": two[:1], "two": two, "large": [large(two[0])], "hostile": [hostile(two[0])], "photos": photos,
            "inside": [seen_inside(two[0]), two[1]], "pairs": [in_pairs(two[0])]}  # fmt: skip
    for name, shown in made.items():
        (folder / f"{name}.html").write_text(answers_page(shown, False, QUIET), encoding="utf-8")
    (folder / "embedded.html").write_text(answers_page(photos, True, QUIET), encoding="utf-8")
    return {path.stem: path for path in folder.glob("*.html")}


def seen_inside(shown: AnsweredResult) -> AnsweredResult:
    """Return answers with losses, and with what is inside a head that looks at the first corner of every picture."""
    looks = np.zeros((len(shown.predictions.images), 2, 2))
    looks[:, 0, 0] = 1.0
    words = ("crow", boards.HOSTILE[0], "bird")
    nearest = np.tile([0, 1, 0], (len(looks), 1))
    kinds = (NearestWords("input", (0.5, 0.25, 0.125, 0.125)), NearestWords("last", (0.75, 0.25, 0.0, 0.0)))
    inside = InsideHead(words, kinds, (0.01, 0.03, 0.06, 0.9), "last", nearest, looks)
    curve = LossCurve(step=(100, 250, 400), loss=(0.69, 0.4, 0.3), validation=((200, 0.55), (400, 0.35)))
    losses = TrainingLosses(heads={"none": curve, "random_lm": curve})
    return replace(shown, losses=losses, inside=inside)


def in_pairs(shown: AnsweredResult) -> AnsweredResult:
    """Return answers about each picture and the next one together."""
    found = shown.predictions
    names = tuple(f"{one} & {other}" for one, other in zip(found.images, np.roll(found.images, -1), strict=True))
    return replace(shown, predictions=replace(found, images=names))


def wrong(shown: AnsweredResult, split: str = "unseen") -> list[int]:
    """Return the rows that the own head has wrong, the surest first."""
    found, own = shown.predictions, shown.predictions.margins["none"].astype(np.float32)
    rows = np.flatnonzero(found.rows_of(split) & ((own > 0) != found.answer))
    return sorted(rows, key=lambda row: (-abs(own[row]), row))


def cards(tab: "playwright.Page") -> list[list[str]]:
    return tab.evaluate("""[...document.querySelectorAll('#cards button')].map(card =>
        [...card.querySelectorAll('bdi, .said')].map(each => each.textContent))""")


def sources(tab: "playwright.Page") -> list[str]:
    return tab.evaluate("""[...document.querySelectorAll('.pictures')].flatMap(each => JSON.parse(each.textContent))""")


def test_shows_the_wrong_answers_surest_first_with_their_pictures(
    browser: "playwright.Browser", files: Files, two: list[AnsweredResult]
) -> None:
    found, rows = two[0].predictions, wrong(two[0])
    with opened(browser, files["one"]) as tab:
        shown = cards(tab)
        assert len(shown) == min(60, len(rows))
        for row, (leaf, term, said) in zip(rows, shown, strict=False):
            margin = float(found.margins["none"][row])
            assert leaf == found.leaves[found.leaf_of[found.image[row]]] and term == f"{found.terms[found.term[row]]}?"
            assert said == f"{'Yes' if margin > 0 else 'No'} {'+' if margin > 0 else '−'}{abs(margin):.1f}"
            assert (margin > 0) != found.answer[row]
        assert tab.get_by_role("status").inner_text().startswith(f"{len(rows)} shown")
        colour = tab.evaluate("""async () => {
            const img = document.querySelector('#cards img'); await img.decode();
            const canvas = new OffscreenCanvas(8, 8).getContext('2d'); canvas.drawImage(img, 0, 0);
            return [...canvas.getImageData(4, 4, 1, 1).data];
        }""")
        assert abs(colour[0] - LEAVES.index(shown[0][0]) * 10) < 8 and abs(colour[2] - 160) < 8
        assert "F1 " + f"{two[0].result.scores['unseen'].macro_f1:.3f}" in tab.locator("#scores").inner_text()


def test_the_most_confused_pairs_and_the_table_count_what_is_wrong(
    browser: "playwright.Browser", files: Files, two: list[AnsweredResult]
) -> None:
    found = two[0].predictions
    pairs: dict[tuple[str, str], int] = {}
    for row in wrong(two[0]):
        key = found.leaves[found.leaf_of[found.image[row]]], found.terms[found.term[row]]
        pairs[key] = pairs.get(key, 0) + 1
    with opened(browser, files["one"]) as tab:
        first = tab.locator("#pair-table tbody tr >> nth=0")
        leaf, term, _, count, _ = first.locator("td").all_inner_texts()
        assert int(count.split()[0]) == pairs[leaf, term] == max(pairs.values())
        grid = tab.evaluate("[...document.querySelectorAll('#grid button')].map(each => each.title)")
        said = dict(each.removesuffix(" wrong").rsplit(": ", 1) for each in grid)
        assert {f"{a}, {b}" for a, b in pairs} <= said.keys()
        assert all(said[f"{a}, {b}"].split()[0] == str(n) for (a, b), n in pairs.items())
        first.get_by_role("button").click()
        assert {(a, b) for a, b, *_ in cards(tab)} == {(leaf, f"{term}?")} and len(cards(tab)) == pairs[leaf, term]
        assert tab.get_by_label("Leaf", exact=True).input_value() == leaf
        tab.go_back()
        assert len(cards(tab)) == min(60, len(wrong(two[0])))


def test_filters_leave_what_they_say_and_stand_in_the_address(
    browser: "playwright.Browser", files: Files, two: list[AnsweredResult]
) -> None:
    found = two[0].predictions
    own = np.abs(found.margins["none"].astype(np.float32))
    with opened(browser, files["one"]) as tab:
        tab.get_by_label("Show").select_option("all")
        for split in found.splits:
            tab.get_by_label("Split").select_option(split)
            assert tab.get_by_role("status").inner_text().split()[0] == str(found.rows_of(split).sum())
        tab.get_by_label("Split").select_option("unseen")
        tab.get_by_label("How sure, from").fill("1")
        tab.get_by_label("to", exact=True).fill("2")
        rows = found.rows_of("unseen") & (own >= 1) & (own <= 2)
        assert tab.get_by_role("status").inner_text().split()[0] == str(rows.sum())
        tab.get_by_label("True answer").select_option("0")
        tab.get_by_label("Search").fill("FISH  2")
        leaf = np.array([found.leaves[found.leaf_of[image]] == "fish 2" for image in found.image])
        expected = int((rows & ~found.answer & leaf).sum())
        there = tab.get_by_role("status").inner_text()
        assert int(there.split()[0]) >= expected  # 'fish' may be asked of '... 2/002' as well
        tab.reload()
        assert tab.get_by_role("status").inner_text() == there and tab.get_by_label("Search").input_value() == "FISH  2"
        tab.get_by_role("button", name="Reset").click()
        assert "q=" not in tab.url and len(cards(tab)) == min(60, len(wrong(two[0])))
        tab.get_by_label("Answers of").select_option("0.1")
        control = found.margins["random_lm"].astype(np.float32)
        n = int((found.rows_of("unseen") & ((control > 0) != found.answer)).sum())
        assert tab.get_by_role("status").inner_text().startswith(f"{n} shown")


def test_two_results_stand_side_by_side_where_they_differ(
    browser: "playwright.Browser", files: Files, two: list[AnsweredResult]
) -> None:
    a, b = (each.predictions for each in two)
    right = [(each.margins["none"] > 0) == each.answer for each in (a, b)]
    with opened(browser, files["two"]) as tab:
        tab.get_by_label("Beside").select_option("1.0")
        for show, rows in (("differ", right[0] != right[1]), ("first", right[0] & ~right[1]),
                           ("second", ~right[0] & right[1])):  # fmt: skip
            tab.get_by_label("Show").select_option(show)
            n = int((rows & a.rows_of("unseen")).sum())
            assert tab.get_by_role("status").inner_text().startswith(f"{n} shown") and n > 0
        classes = tab.evaluate("""[...document.querySelectorAll('#cards button')].map(card =>
            [...card.querySelectorAll('.said')].map(each => each.className).join(' '))""")
        assert set(classes) == {"said is-wrong said is-right"}
        tab.get_by_label("Beside").select_option("")
        assert tab.get_by_label("Show").input_value() == "wrong"


@pytest.mark.parametrize("way", ["mouse", "keyboard"])
def test_an_answer_opens_steps_on_and_gives_the_focus_back(
    browser: "playwright.Browser", files: Files, two: list[AnsweredResult], way: str
) -> None:
    found, rows = two[0].predictions, wrong(two[0])
    with opened(browser, files["one"]) as tab:
        first, sheet = tab.locator("#cards button >> nth=0"), tab.get_by_role("dialog")
        if way == "mouse":
            first.click()
        else:
            first.focus()
            tab.keyboard.press("ArrowRight")
            tab.keyboard.press("ArrowLeft")
            tab.keyboard.press("Enter")
        playwright.expect(sheet).to_be_visible()
        for row in rows[:3]:
            text = sheet.inner_text()
            assert found.leaves[found.leaf_of[found.image[row]]] in text and found.images[found.image[row]] in text
            for name, title in (("none", "own head"), ("random_lm", "random LM"), ("text_only", "text only")):
                assert title in text and f"{float(found.margins[name][row]):.2f}" in text
            others = [each for each in np.flatnonzero(found.image == found.image[row]) if each != row]
            assert sheet.locator("#else tbody tr").count() == len(others)
            tab.keyboard.press("ArrowRight")
        tab.keyboard.press("Escape")
        playwright.expect(sheet).to_be_hidden()
        playwright.expect(tab).not_to_have_url(re.compile("open="))  # a dialog tells of its closing a moment later
        playwright.expect(tab.locator("#cards :focus")).to_have_count(1)


def test_twenty_thousand_answers_are_painted_within_two_seconds(browser: "playwright.Browser", files: Files) -> None:
    painted, shown = [], []
    while not painted or (max(min(painted), min(shown)) > 2 and len(painted) < 8):  # a busy machine may take longer
        with opened(browser, files["large"]) as tab:
            painted.append(tab.evaluate(FIRST_PAINT) / 1000)
            began = time.monotonic()
            tab.get_by_label("Show").select_option("all")
            assert tab.get_by_role("status").inner_text().startswith("20,000 shown")
            shown.append(time.monotonic() - began)
    assert min(painted) < 2 and min(shown) < 2
    with opened(browser, files["large"]) as tab:
        assert len(cards(tab)) == 60 and tab.locator("#grid td").count() < 1000
        tab.get_by_label("Show").select_option("all")
        tab.get_by_role("button", name="Next").first.click()
        assert tab.locator(".where").first.inner_text() == "61–120 of 20,000"
        tab.get_by_role("button", name="More leaves").click()
        assert tab.locator("#grid tbody tr").count() == 72
    assert files["large"].stat().st_size < 4_000_000


class _Halting(BaseHTTPRequestHandler):
    """Sends a page up to what follows its first pictures, and the rest when it is told to."""

    page: list[bytes]
    go_on: threading.Event

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        for part in self.page:
            self.wfile.write(part)
            self.go_on.wait()

    def log_message(self, *_: object) -> None:
        pass


def test_wrong_answers_have_their_pictures_before_all_others_are_there(
    browser: "playwright.Browser", two: list[AnsweredResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "_BLOCK", 12)
    text, block = answers_page(two[:1], False, QUIET), '<script type="application/json" class="pictures">'
    assert text.count(block) > 2
    before, first, rest = text.split(block, 2)
    _Halting.page, _Halting.go_on = [f"{before}{block}{first}{block}[".encode(), rest[1:].encode()], threading.Event()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Halting) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            with browser.new_context() as context, context.new_page() as tab:
                tab.goto(f"http://127.0.0.1:{server.server_port}/", wait_until="commit")
                drawn = tab.locator("#cards img[src]")  # a script to wait by is what the page's policy forbids
                drawn.nth(11).wait_for(state="attached")
                assert tab.evaluate("document.readyState") == "loading" and len(cards(tab)) == len(wrong(two[0]))
                sources_of = "all => all.map(each => Boolean(each.getAttribute('src')))"
                shown = tab.locator("#cards img").evaluate_all(sources_of)
                assert all(shown[:12]) and not all(shown)
                _Halting.go_on.set()
                drawn.nth(len(shown) - 1).wait_for(state="attached")
        finally:
            _Halting.go_on.set()
            server.shutdown()


def test_two_pictures_of_one_question_stand_side_by_side(browser: "playwright.Browser", files: Files) -> None:
    with opened(browser, files["pairs"]) as tab:
        boxes = (
            tab.locator("#cards button >> nth=0")
            .locator("img")
            .evaluate_all(
                "all => all.map(each => each.getBoundingClientRect()).map(box => [box.left, box.right, box.top])"
            )
        )
        (left, right, top), (other, end, same) = boxes
        assert left < right <= other < end and top == same and right - left == pytest.approx(end - other, abs=1)
        data = tab.evaluate("JSON.parse(document.getElementById('data').textContent)")
        assert len(sources(tab)) == len(set(data["pictures"])) == len(data["pictures"])  # however many pairs have it
        leaf, *_ = cards(tab)[0]
        tab.locator("#cards button >> nth=0").click()
        sheet = tab.get_by_role("dialog")
        names = sheet.locator("#picture code").all_inner_texts()
        assert len(names) == 2 and " & ".join(dict.fromkeys(each.split("/")[0] for each in names)) == leaf
        assert sheet.locator("#picture img").count() == 2


def test_photos_are_links_unless_they_are_embedded(browser: "playwright.Browser", files: Files) -> None:
    folder = files["photos"].parent / "photos"
    for name, also, begins in (
        ("photos", folder.as_uri() + "/", folder.as_uri()),
        ("embedded", "-", "data:image/jpeg"),
    ):
        with opened(browser, files[name], also=also) as tab:
            first = tab.locator("#cards img >> nth=0")
            assert (first.get_attribute("src") or "").startswith(begins)
            assert first.evaluate("async each => { await each.decode(); return each.naturalWidth; }") == 8


def test_hostile_names_are_only_text(browser: "playwright.Browser", files: Files) -> None:
    with opened(browser, files["hostile"]) as tab:
        tab.locator("#cards button >> nth=0").click()
        assert tab.evaluate("[window.hacked, document.scripts.length, document.images.length, document.title]") == [
            None, 3, 0, "taxbench answers"]  # fmt: skip
        names = tab.evaluate("[...document.querySelectorAll('*')].flatMap(each => each.getAttributeNames())")
        assert not [name for name in names if name.startswith("on") or name == "style"]
        assert "<script>window.hacked=1</script>" in tab.locator("#sheet").inner_text()


@pytest.mark.parametrize(
    "at", ["#a=9.9&b=x&show=__proto__&split=<script>&page=-7&open=1e9&order=x&least=x&most=<", "#open=-1&a=0.0.0", "#%"]
)
def test_hostile_addresses_do_nothing(browser: "playwright.Browser", files: Files, at: str) -> None:
    with opened(browser, files["one"], at) as tab:
        playwright.expect(tab.get_by_role("dialog")).to_be_hidden()
        assert len(cards(tab)) > 0 and tab.get_by_label("Answers of").input_value() == "0.0"


@pytest.mark.parametrize("name", ["two", "large", "hostile"])
def test_a_phone_never_scrolls_the_page_sideways(browser: "playwright.Browser", files: Files, name: str) -> None:
    with opened(browser, files[name], **PHONE) as tab:
        assert width(tab) == 375
        tab.locator("#filters summary").click()
        assert width(tab) == 375
        tab.locator("#cards button >> nth=0").click()
        assert tab.get_by_role("dialog").evaluate("each => each.scrollWidth") <= 375


@pytest.mark.parametrize(("name", "look"), [("two", "light"), ("two", "dark open"), ("hostile", "dark phone")])
def test_axe_finds_nothing_serious(browser: "playwright.Browser", files: Files, name: str, look: str) -> None:
    given = {"color_scheme": "dark" if "dark" in look else "light", **(PHONE if "phone" in look else {})}
    with opened(browser, files[name], **given) as tab:
        if "open" in look:
            tab.locator("#cards button >> nth=0").click()
        found = axe.Axe().run(tab).response["violations"]
        serious = [each for each in found if each["impact"] in ("serious", "critical")]
        assert not serious, [(each["id"], [node["html"][:150] for node in each["nodes"][:3]]) for each in serious]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    record(tmp_path / "results", 1, 0.8)
    yield tmp_path


def test_the_command_writes_a_page_also_where_pictures_are_not_found(
    folder: Path, capsys: pytest.CaptureFixture[str], browser: "playwright.Browser"
) -> None:
    out = folder / "some page.html"
    assert call(["view", str(folder / "results"), "--out", str(out), "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["page"] == str(out) and "Shown without pictures. The pictures of 'made'" in said.err
    with opened(browser, out) as tab:
        assert "no picture" in tab.locator("#cards").inner_text() and len(cards(tab)) > 0
    assert call(["view", str(folder / "none")]) == 2
    assert "No such folder" in capsys.readouterr().err


def test_the_same_answers_give_the_same_bytes(two: list[AnsweredResult]) -> None:
    assert answers_page(two, False, QUIET) == answers_page(two, False, QUIET)


def test_shows_how_losses_fell_what_soft_tokens_are_near_to_and_where_they_look(
    browser: "playwright.Browser", files: Files
) -> None:
    with opened(browser, files["inside"]) as tab:
        figure = tab.locator("#training figure")
        assert figure.count() == 1 and figure.is_visible()
        assert figure.locator(".dashed").count() == 2 and figure.locator("svg.chart .mark").count() == 4
        assert "own head: from 0.690 to 0.300" in figure.inner_text() and "random LM" in figure.inner_text()
        lines = tab.locator("#inside tbody tr").all_inner_texts()
        assert [line.split() for line in lines[:2]] == [
            ["input", "50.0", "25.0", "12.5", "12.5"], ["last", "75.0", "25.0", "0.0", "0.0"],
        ]  # fmt: skip
        tab.locator("#cards button").first.click()
        near = tab.locator("#near").inner_text()
        assert near.startswith("Soft tokens are nearest to: crow ×2, ") and boards.HOSTILE[0][:10] in near
        veil = tab.locator("#picture .looks span").evaluate_all(
            "all => all.map(each => getComputedStyle(each).opacity)"
        )
        assert veil == ["0", "0.8", "0.8", "0.8"]
        box, over = tab.locator("#picture img").bounding_box(), tab.locator("#picture .looks").bounding_box()
        assert box == over
        assert [each["id"] for each in axe.Axe().run(tab).response["violations"]] == []
        tab.keyboard.press("Escape")
        tab.get_by_label("Answers of").select_option("1.0")
        assert not figure.is_visible() and not tab.locator("#inside table").is_visible()
        tab.locator("#cards button").first.click()
        assert not tab.locator("#near").is_visible() and tab.locator(".looks").count() == 0
