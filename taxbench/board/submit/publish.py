"""Put records on a leaderboard, and the leaderboard on the Hugging Face hub."""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

from taxbench.board.load import PREDICTIONS, RESULTS, results_of
from taxbench.board.submit.check import Batch, Outcome, examine_all
from taxbench.board.submit.examine import Examined
from taxbench.board.submit.record_files import look_through, read_plain
from taxbench.results.records import LOSSES, RESULT, TIMING, parse_result, read_beside, result_bytes, result_folder
from taxbench.specs.side_files import Timing, TrainingLosses
from taxbench.specs.spec import Spec
from taxbench.tasks.registry import TaskRegistry
from taxbench.util.errors import DataError, TaxbenchError, UsageError, first_few, first_line, with_network
from taxbench.util.paths import replacing
from taxbench.util.progress import Reporter


def add(folders: Iterable[Path], board: Path, registry: TaskRegistry, report: Reporter) -> list[Outcome]:
    """Check every record below some folders and copy those that are fine: answers, times and losses as well.

    What was checked is what is written, whatever the files become meanwhile. A record that is refused stops no other.

    Raises:
        UsageError: a folder is not there, or none of them holds a record.
        CacheError: the leaderboard cannot be written.
    """
    together = Batch()
    for folder in look_through(board / RESULTS)[0]:
        with suppress(DataError):  # a broken one says nothing here; `check` names it
            together.beside(Examined(folder, (), parse_result(read_plain(folder / RESULT), RESULT)))
    outcomes, places = list[Outcome](), list(folders)
    for examined in examine_all(places, registry, report):
        if examined.result is None and not examined.folder.is_dir():
            continue  # no record; what is copied is records only
        each = together.beside(examined)
        outcomes.append(Outcome(each.folder, "refused", each.reasons) if each.reasons else _added(each, board))
    if not outcomes:
        raise UsageError(f"No record lies below {first_few(places)}. Make one: taxbench run --task unseen_hypernym")
    return outcomes


def push(board: Path, repository: str, *, direct: bool = False) -> str:
    """Upload a leaderboard to a dataset repository of the Hugging Face hub; return what was made, in words.

    The repository is made where it is not there. Without `direct` a pull request is opened.

    Raises:
        UsageError: there is no leaderboard, or the repository's name cannot be.
        TaxbenchError: it holds links, or the hub is not to be had or refuses.
    """
    records = len(look_through(results_of(board))[0])
    links = sorted(path for path in board.rglob("*") if path.is_symlink())
    if links:
        raise TaxbenchError(f"Links would be followed, out of the leaderboard: {first_few(links)}. Remove them first.")
    return _uploaded(board, repository, None, f"Leaderboard of taxbench: {records} records", direct)


def push_space(board: Path, repository: str, *, direct: bool = False) -> str:
    """Upload the page of a leaderboard to a static Space, with the files for programs; return what was made, in words.

    Args:
        repository: As for `push`.
        direct: The same.

    Raises:
        UsageError: as for `push`; or the leaderboard has no page.
        TaxbenchError: the hub is not to be had or refuses.
    """
    names = ("index.html", "board.csv", "board.json", "board.tex")
    missing = [name for name in names if not (board / name).is_file()]
    if missing:
        build = f"taxbench leaderboard build --board {board}"
        raise UsageError(f"'{board}' has no {first_few(missing)}. Make them: {build}")
    with TemporaryDirectory(prefix="taxbench-") as work:
        for name in names:
            shutil.copyfile(board / name, Path(work, name))
        Path(work, "README.md").write_text(_SPACE, encoding="utf-8")
        return _uploaded(Path(work), repository, "static", "Board of taxbench", direct)


_SPACE = """---
title: taxbench board
emoji: 🐦
colorFrom: blue
colorTo: yellow
sdk: static
app_file: index.html
pinned: false
license: apache-2.0
tags: [taxbench, leaderboard, vision-language, taxonomy]
---

The leaderboard of taxbench as one page: does what a frozen language model knows from text carry over to images?
"""
"""What the hub reads of a Space: https://huggingface.co/docs/hub/spaces-config-reference."""


def _uploaded(folder: Path, repository: str, sdk: str | None, message: str, direct: bool) -> str:
    """Upload a folder to a Space of a kind, or to a dataset repository where it is None; say what was made."""
    from huggingface_hub import HfApi

    api, kind = HfApi(), "space" if sdk else "dataset"
    with _in_words(repository):
        api.create_repo(repository, repo_type=kind, space_sdk=sdk, exist_ok=True)
        made = api.upload_folder(
            repo_id=repository, repo_type=kind, folder_path=folder, create_pr=not direct,
            commit_message=message, ignore_patterns=[".*", "**/.*"],
        )  # fmt: skip
    return f"Committed: {made.commit_url}" if direct else f"Pull request: {made.pr_url}"


@contextmanager
def _in_words(repository: str) -> Iterator[None]:
    """Say what went wrong with the hub, and what to type."""
    from huggingface_hub import errors

    # What the HTTP library below the hub's raises, whichever that is in this release of it.
    unreachable: type[Exception] = cast(type[Exception], errors.HfHubHTTPError.__bases__[0])
    try:
        yield
        return
    except errors.HFValidationError as error:
        raise UsageError(
            f"'{repository}' is not the name of a repository: expected owner/name ({first_line(error)})."
        ) from None
    except errors.LocalTokenNotFoundError:
        trouble = "You are not logged in to the hub. Type 'hf auth login' with a token that may write."
    except errors.HfHubHTTPError as error:
        trouble = (
            f"The hub refuses the upload to '{repository}': {first_line(error)} Check the name, and with 'hf auth "
            "whoami' that you may write there; 'hf auth login' takes another token."
        )
    except (OSError, unreachable) as error:
        again = f"{with_network()}type the same command again."
        trouble = f"The hub cannot be reached ({first_line(error)}). {again}"
    raise TaxbenchError(trouble)


def _added(each: Examined, board: Path) -> Outcome:
    """Write the files of a record, with what its run cost and how losses fell where that is known, or none."""
    assert each.result is not None
    place = result_folder(board / RESULTS, each.result.run)
    if (place / RESULT).exists():
        if _same(each, place):
            return Outcome(each.folder, "already there", place=place)
        taken = (
            f"Another record of the run {each.result.digest} is at '{place}'. The first one stays; to replace it, "
            "remove that folder and add this one again."
        )
        return Outcome(each.folder, "refused", (taken,))
    # The record last: a folder that has one is complete.
    content = {PREDICTIONS: each.predictions, **_beside(each.folder), RESULT: each.record}
    try:
        for name, written in content.items():
            with replacing(place / name) as partial:
                partial.write_bytes(written)
    except BaseException:
        with suppress(OSError):
            for name in content:
                (place / name).unlink(missing_ok=True)
            place.rmdir()
        raise
    return Outcome(each.folder, "added", place=place)


def _beside(folder: Path) -> dict[str, bytes]:
    """Return what lies beside a record, by the names of the files, each written anew."""
    kinds: dict[str, type[Spec]] = {TIMING: Timing, LOSSES: TrainingLosses}
    found = {name: read_beside(folder / name, kind) for name, kind in kinds.items() if not (folder / name).is_symlink()}
    return {name: result_bytes(each) for name, each in found.items() if each}


def _same(each: Examined, place: Path) -> bool:
    """Say whether a record is there already, also where another commit made it."""
    try:
        there, answers = read_plain(place / RESULT), read_plain(place / PREDICTIONS)
        one, other = (parse_result(content, RESULT) for content in (there, each.record))
    except DataError:
        return False
    return answers == each.predictions and one.model_copy(update={"code": other.code}) == other
