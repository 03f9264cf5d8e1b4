"""The page in a real browser: it works from disk, asks the network for nothing, and everyone can use it."""

import base64
import hashlib
import html
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from taxbench.board.board import Board
from taxbench.board.page.page import page
from taxbench.board.render.paper_figures import _letters
from tests.board import boards

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs the test extra: axe-playwright-python")
playwright = pytest.importorskip("playwright.sync_api", reason="needs the test extra: playwright")
if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

Files = dict[str, Path]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
PHONE = {"viewport": {"width": 375, "height": 740}}
FIRST = "tr.entry >> nth=0"


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine (apt-get install chromium)")
    with (
        playwright.sync_playwright() as play,
        play.chromium.launch(executable_path=CHROMIUM, args=FLAGS) as running,
    ):
        yield running


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("page")
    found = {}
    for name in ("board", "hostile_board", "empty_board", "chinese_board"):
        found[name] = folder / f"{name}.html"
        found[name].write_text(page(getattr(boards, name)()), encoding="utf-8")
    return found


@contextmanager
def opened(browser: "Browser", path: Path, at: str = "", also: str = "-", **given: object) -> Iterator["Page"]:
    """Open the page from disk; complain at the end of any request to elsewhere, and of anything on the console.

    Args:
        also: The beginning of other addresses that it may ask for.
    """
    context = browser.new_context(**given)
    context.set_default_timeout(5000)
    requests: list[str] = []
    said: list[str] = []

    def route(each: "Route") -> None:
        if each.request.url.startswith(also):
            return each.continue_()
        requests.append(each.request.url)
        each.continue_() if each.request.url.split("#")[0] == path.as_uri() else each.abort()

    context.route("**/*", route)
    tab = context.new_page()
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.goto(path.as_uri() + at)
    yield tab
    assert said == []
    assert {url.split("#")[0] for url in requests} == {path.as_uri()}
    context.close()


def column(tab: "Page", title: str) -> list[list[float | None]]:
    """Return the figures of a column as they stand, one list a dataset."""
    return tab.evaluate(
        """title => {
            const head = [...document.querySelectorAll('#board [data-key]')].find(each => each.textContent === title);
            const at = [...head.parentElement.children].indexOf(head);
            return [...document.querySelectorAll('#board tbody')].map(body => [...body.querySelectorAll('.entry')].map(
                row => row.children[at].dataset.v === undefined ? null : Number(row.children[at].dataset.v)));
        }""",
        title,
    )


def shown(tab: "Page") -> list[str]:
    return [each for each in tab.locator("tr.entry:visible th bdi >> visible=true").all_inner_texts() if each]


def width(tab: "Page") -> int:
    return tab.evaluate("document.documentElement.scrollWidth")


@pytest.mark.parametrize("title", ["transfer", "unseen F1", "coherence effect", "text only"])
def test_sorts_by_a_column_inside_each_dataset_with_blanks_last(browser: "Browser", files: Files, title: str) -> None:
    with opened(browser, files["board"]) as tab:
        head = tab.locator("#board th", has=tab.get_by_role("button", name=title, exact=True))
        for direction, sign in (("descending", -1), ("ascending", 1)):
            head.get_by_role("button").click()
            assert head.get_attribute("aria-sort") == direction
            assert tab.locator("[aria-sort]").count() == 1
            for values in column(tab, title):
                assert values == sorted(values, key=lambda value: (value is None, sign * (value or 0)))


def test_sorts_by_names_and_back_to_ranks_with_the_keyboard(browser: "Browser", files: Files) -> None:
    with opened(browser, files["board"]) as tab:
        before = shown(tab)
        assert "ranked" in (tab.locator("#board").get_attribute("class") or "")
        tab.get_by_role("button", name="LM", exact=True).focus()
        tab.keyboard.press("Enter")
        assert shown(tab)[:10] == sorted(before[:10]) and shown(tab) != before
        assert "ranked" not in (tab.locator("#board").get_attribute("class") or "")  # bands hold in the order of ranks
        tab.get_by_role("button", name="Rank", exact=True).focus()
        tab.keyboard.press("Space")
        assert shown(tab) == before


def test_filters_count_and_stand_in_the_address(browser: "Browser", files: Files) -> None:
    with opened(browser, files["board"]) as tab:
        tab.get_by_label("Dataset", exact=True).select_option("things")
        assert tab.get_by_role("status").inner_text() == "3 of 13 entries"
        tab.get_by_label("Encoder").select_option("dinov2-reg-large")
        assert shown(tab) == ["llama-3.2-1b", "qwen3-0.6b"]
        tab.get_by_label("Search").fill("QWEN  dino")
        assert shown(tab) == ["qwen3-0.6b"]
        assert tab.url.endswith("#q=QWEN++dino&dataset=things&encoder=dinov2-reg-large")
        tab.reload()
        assert shown(tab) == ["qwen3-0.6b"] and tab.get_by_label("Search").input_value() == "QWEN  dino"
        tab.get_by_role("button", name="Reset").click()
        assert len(shown(tab)) == 13 and tab.get_by_role("status").inner_text() == "13 entries"
        tab.get_by_label("Head", exact=True).select_option("no_image")
        assert len(shown(tab)) == 1


@pytest.mark.parametrize("way", ["mouse", "keyboard", "address"])
def test_a_row_opens_its_record_and_gives_the_focus_back(browser: "Browser", files: Files, way: str) -> None:
    first = boards.board().entries[0]
    with opened(browser, files["board"]) as tab:
        sheet, link = tab.get_by_role("dialog"), tab.locator(FIRST).get_by_role("link")
        if way == "mouse":
            tab.locator(FIRST).locator("td").nth(4).click()
        elif way == "keyboard":
            link.focus()
            tab.keyboard.press("Enter")
        else:
            tab.goto(tab.url + (link.get_attribute("href") or ""))
        playwright.expect(sheet).to_be_visible()
        text = sheet.inner_text()
        for row in first.rows.values():
            assert row.task.identity.partition("#")[0] in text and row.evidence is not None
            for record in row.records:
                assert f"taxbench reproduce leaderboard/results/{record.folder}" in text
                assert record.digest[:16] in text and record.predictions[:16] in text
        for words in (
            "[0.901, 0.976]",
            "± 0.003",
            "text only",
            "musical instrument",
            "2080",
            first.features,
            "float32",
        ):
            assert words in text
        assert sheet.evaluate("each => each.contains(document.activeElement)")
        tab.keyboard.press("Escape")
        playwright.expect(sheet).to_be_hidden()
        assert "open" not in tab.url
        if way != "address":
            assert link.evaluate("each => each === document.activeElement")
            tab.go_back()
            playwright.expect(sheet).to_be_visible()


def test_every_record_belongs_to_its_row(browser: "Browser", files: Files) -> None:
    with opened(browser, files["board"]) as tab:
        for entry, link in zip(boards.board().entries, tab.locator("tr.entry th a").all(), strict=True):
            link.click()
            heading = tab.get_by_role("dialog").get_by_role("heading", level=3).inner_text()
            assert heading.split(" · ")[:3] == [entry.lm, entry.encoder, entry.head]
            tab.get_by_role("button", name="Close").click()


def test_entries_without_a_rank_say_why_and_stand_last(browser: "Browser", files: Files) -> None:
    with opened(browser, files["board"]) as tab:
        for body in tab.locator("#board tbody").all():
            ranked = [" unranked" not in f" {row.get_attribute('class')}" for row in body.locator(".entry").all()]
            assert ranked == sorted(ranked, reverse=True)
        text = tab.locator("#board").inner_text()
        assert "no score\nno counterfactual_high, counterfactual_low" in text and text.count("control\n") == 2
        assert "not run" in text and "no score" in text
        bands = [row.get_attribute("class") for row in tab.locator("#board tbody >> nth=0").locator(".entry").all()]
        assert [each.replace("entry ", "") for each in bands[:6]] == [
            "band0 first", "band0", "band0", "band1 first", "band1", "band0 first"]  # fmt: skip


def test_dark_follows_the_system_and_the_button(browser: "Browser", files: Files) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    with opened(browser, files["board"], color_scheme="dark") as tab:
        assert tab.evaluate(paper) == "rgb(20, 23, 26)"
        tab.get_by_role("button", name="Light").click()
        assert tab.evaluate(paper) == "rgb(255, 255, 255)" and "theme=light" in tab.url
        tab.reload()
        assert tab.evaluate(paper) == "rgb(255, 255, 255)"
        tab.get_by_role("button", name="Dark").click()
        assert tab.evaluate(paper) == "rgb(20, 23, 26)"


@pytest.mark.parametrize("name", ["board", "hostile_board", "empty_board"])
def test_a_phone_scrolls_the_table_and_never_the_page(browser: "Browser", files: Files, name: str) -> None:
    with opened(browser, files[name], **PHONE) as tab:
        assert width(tab) == 375
        if name != "empty_board":
            tab.locator("#filters summary").click()
            assert width(tab) == 375
            tab.locator(FIRST).get_by_role("link").click()
            assert tab.get_by_role("dialog").evaluate("each => each.scrollWidth") <= 375


def test_a_phone_shows_how_features_were_taken_and_every_setting(browser: "Browser", files: Files) -> None:
    for given, seen in ((PHONE, [True, False]), ({}, [False, True])):  # below the head's name, or in its column
        with opened(browser, files["board"], **given) as tab:
            line = tab.locator("tr.entry", has_text="alpha=10, epochs=3")
            shown = [line.locator(f"{place} bdi >> text=alpha=10").is_visible() for place in ("th", "td.head")]
            assert shown == seen
            line = tab.locator("tr.entry", has_text="256 patch tokens").first
            assert [line.locator(f"{place} bdi >> text=256 patch").is_visible() for place in ("th", "td.enc")] == seen


def test_hostile_names_are_only_text(browser: "Browser", files: Files) -> None:
    with opened(browser, files["hostile_board"]) as tab:
        assert tab.evaluate("[window.hacked, document.scripts.length, document.images.length, document.title]") == [
            None, 1, 0, "taxbench board"]  # fmt: skip
        names = tab.evaluate("[...document.querySelectorAll('*')].flatMap(each => each.getAttributeNames())")
        assert not [name for name in names if name.startswith("on") or name == "style"]
        text = tab.locator("body").text_content() or ""
        assert boards.HOSTILE[0] in text and boards.HOSTILE[1] in text and boards.HOSTILE[3] in text
        assert not re.search("[\u202a-\u202e\x00\x1b\ud800]", text)
        tab.get_by_label("LM", exact=True).select_option(boards.HOSTILE[0])
        assert len(shown(tab)) == 1
        tab.reload()
        assert tab.get_by_role("status").inner_text() == "1 of 5 entries"
        tab.locator("tr.entry:visible >> nth=0").get_by_role("link").click()
        assert "<script>window.hacked=1</script>" in tab.get_by_role("dialog").inner_text()
        assert tab.evaluate("window.hacked") is None


def test_chinese_names_are_found_and_drawn(browser: "Browser", files: Files) -> None:
    with opened(browser, files["chinese_board"]) as tab:
        tab.get_by_label("Search").fill("文本 图像")
        assert tab.get_by_role("status").inner_text() == "1 of 4 entries"
        name = tab.locator("tr.entry:visible a >> nth=0")
        pictures = set()
        for letter in "鸟鱼":  # the box that stands for a missing glyph is the same for both
            name.evaluate("(link, letter) => { link.textContent = letter; }", letter)
            pictures.add(name.screenshot())
        if len(_letters()) < 2:
            pytest.skip("no font with Chinese letters on this machine (apt-get install fonts-wqy-microhei)")
        assert len(pictures) == 2


@pytest.mark.parametrize(
    "at",
    [
        "#q=<img src=x onerror=alert(1)>&dataset=<script>&sort=__proto__&dir=x&show=x&theme=x&open=e0000000000&heat=9",
        "#e0000000000",
        "#sort=constructor&open=table",
        "#%",
    ],
)
def test_hostile_addresses_do_nothing(browser: "Browser", files: Files, at: str) -> None:
    with opened(browser, files["board"], at) as tab:
        playwright.expect(tab.get_by_role("dialog")).to_be_hidden()
        assert tab.locator("[aria-sort]").get_attribute("data-key") == "rank"
        assert tab.evaluate("document.images.length + document.scripts.length") == 1


def test_print_shows_what_matters_and_hides_what_is_pressed(browser: "Browser", files: Files) -> None:
    with opened(browser, files["board"], color_scheme="dark", viewport={"width": 1000, "height": 700}) as tab:
        tab.locator(FIRST).get_by_role("link").click()
        tab.emulate_media(media="print")
        tab.evaluate("dispatchEvent(new Event('beforeprint'))")
        for hidden in ("#filters form", "#theme", "nav"):
            assert not tab.locator(hidden).is_visible()
        for visible in (
            "#board th button:has-text('transfer')",
            ".record.printed",
            "#published td >> nth=0",
            "#others td >> nth=0",
        ):
            assert tab.locator(visible).first.is_visible(), visible
        assert (
            tab.locator("#board").locator("xpath=..").evaluate("each => getComputedStyle(each).overflow") == "visible"
        )
        assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        tab.evaluate("dispatchEvent(new Event('afterprint'))")
        tab.emulate_media(media="screen")
        assert tab.get_by_role("dialog").locator(".record").is_visible()


def test_reads_without_scripts(browser: "Browser", files: Files) -> None:
    with opened(browser, files["board"], java_script_enabled=False) as tab:
        assert tab.locator("tr.entry:visible").count() == 13
        assert tab.locator(".heatmaps:visible").count() == 2 and not tab.locator("#filters").is_visible()
        assert tab.locator(".record:visible").count() == 0
        tab.locator(FIRST).get_by_role("link").click()
        assert tab.locator(".record:visible").count() == 1


def test_the_focus_is_seen_and_motion_is_reduced(browser: "Browser", files: Files) -> None:
    with opened(browser, files["board"], reduced_motion="reduce") as tab:
        assert tab.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"
        stops = set()
        for _ in range(60):
            tab.keyboard.press("Tab")
            name, outline = tab.evaluate(
                "[document.activeElement.tagName, getComputedStyle(document.activeElement).outlineStyle]"
            )
            assert name == "BODY" or outline != "none", name
            stops.add(name)
        assert {"BUTTON", "SELECT", "INPUT", "A", "SUMMARY"} <= stops
        tab.locator(FIRST).get_by_role("link").focus()
        tab.keyboard.press("ArrowDown")
        assert tab.evaluate("document.activeElement.closest('tr').sectionRowIndex") == 2


def test_heatmap_is_chosen_and_says_its_figures(browser: "Browser", files: Files) -> None:
    with opened(browser, files["board"]) as tab:
        assert "0.936" in tab.locator(".heatmaps:visible").inner_text()
        tab.get_by_label("Dataset and head").select_option(label="things · mlp")
        assert "0.936" not in tab.locator(".heatmaps:visible").inner_text() and "heat=1" in tab.url


@pytest.mark.parametrize(
    ("name", "look"),
    [("board", look) for look in ("light", "dark", "phone", "record", "record dark phone")]
    + [("hostile_board", look) for look in ("light", "record dark phone")]
    + [("empty_board", "dark phone")],
)
def test_axe_finds_nothing_serious(browser: "Browser", files: Files, name: str, look: str) -> None:
    given = {"color_scheme": "dark" if "dark" in look else "light", **(PHONE if "phone" in look else {})}
    with opened(browser, files[name], **given) as tab:
        if "record" in look:
            tab.locator(FIRST).get_by_role("link").click()
        else:  # nothing may hide behind a closed summary
            tab.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
        found = axe.Axe().run(tab).response["violations"]
        serious = [each for each in found if each["impact"] in ("serious", "critical")]
        assert not serious, [(each["id"], [node["html"][:150] for node in each["nodes"][:3]]) for each in serious]


def test_the_policy_allows_our_script_and_style_and_nothing_else() -> None:
    text = page(boards.hostile_board())
    policy = html.unescape(re.findall(r'Content-Security-Policy" content="([^"]*)"', text)[0])
    for tag in ("script", "style"):
        (inside,) = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        assert f"{tag}-src 'sha256-{base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()}'" in policy
    assert policy.startswith("default-src 'none';") and "unsafe" not in policy and "http" not in policy
    assert not re.search(r"\beval\b|innerHTML|document\.write|new Function", text)


def test_the_command_is_safe_to_paste_whatever_the_folder_is_called() -> None:
    board = boards.board()
    first = board.entries[0]
    row = first.rows["leaf"]
    bad = replace(row, records=(replace(row.records[0], folder="a; rm -rf ~ $(id) 'x"),))
    text = page(Board((replace(first, rows={"leaf": bad}, missing=("seen_hypernym",)),), (bad,)))
    (command,) = [html.unescape(each) for each in re.findall(r"<code>(taxbench reproduce .*?)</code>", text)]
    assert shlex.split(command) == ["taxbench", "reproduce", "leaderboard/results/a; rm -rf ~ $(id) 'x"]


def test_the_same_board_gives_the_same_bytes_and_loads_nothing_heavy() -> None:
    code = ("import sys, hashlib; from tests.board.boards import board; from taxbench.board.page.page import page;"
            "print(hashlib.sha256(page(board()).encode()).hexdigest(),"
            "[name for name in ('torch', 'numpy', 'matplotlib') if name in sys.modules])")  # fmt: skip
    ran = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                       env={**os.environ, "PYTHONHASHSEED": seed}).stdout
        for seed in ("1", "2")
    ]  # fmt: skip
    assert ran == [f"{hashlib.sha256(page(boards.board()).encode()).hexdigest()} []\n"] * 2


def test_thirty_entries_and_all_published_figures_stay_below_a_megabyte() -> None:
    board = boards.large_board()
    assert len(board.entries) == 30 and len(board.references) > 420
    assert len(page(board).encode()) < 1_000_000


def test_published_figures_are_marked_and_stand_apart() -> None:
    text = page(boards.board())
    table, published = text.split('id="published"')
    assert "reported, not re-run" in published and "arXiv 2603.07474, Table 3" in published
    assert "Table 3" not in table and published.count("Llama-3.2-1B</bdi>, random weights") == 11
