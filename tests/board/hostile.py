"""One honest record, and records as a careless or hostile stranger might send them, each made from it."""

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from taxbench.datasets.dataset import load_dataset
from taxbench.protocol.protocol import Protocol
from taxbench.protocol.questions import QuestionSet
from taxbench.registry.heads import settings_defaults
from taxbench.results.predictions import OWN, collected, parse_predictions, write_predictions
from taxbench.results.records import predictions_file, write_result
from taxbench.scoring.metrics import score
from taxbench.scoring.rescore import rescore
from taxbench.specs.language_pair import LanguagePair
from taxbench.specs.result import Result, Similarity, Versions, VisualSimilarity
from taxbench.specs.run import DatasetId, EncoderId, HeadSpec, LanguageId, LMId, RunSpec, TrainerSpec
from taxbench.specs.side_files import Timing
from taxbench.specs.task import RAW
from taxbench.util.errors import DataError
from tests.board.boards import SPECS

Record = dict[str, Any]
Columns = dict[str, Any]
Change = Callable[[Path], None]

FIGURES = {"scores", "controls", "categories"}


def honest(
    folder: Path, seed: int = 42, task: str = "unseen_hypernym",
    own: Callable[[Protocol, QuestionSet], np.ndarray] | None = None, language: str = "en",
) -> Result:  # fmt: skip
    """Write a record on the real questions of `pocket`, with invented margins, those of its own head as given."""
    dataset, languages = load_dataset("pocket"), LanguagePair(test=language)
    spec = SPECS[task].in_languages(languages).as_run()
    protocol, draw = Protocol(spec, dataset, seed), np.random.default_rng(seed)
    images, parts = [image.id for image in dataset.images], {}
    for split in spec.evaluate:
        asked = protocol.test(split)
        sign = np.where(asked.answer, 1.0, -1.0)
        skills = {OWN: 1.0} | {name: 0.2 for name in spec.controls if name != "chance"}
        margins = {name: skill * sign + draw.normal(size=len(sign)) for name, skill in skills.items()}
        if own is not None:
            margins[OWN] = own(protocol, asked)
        parts[split] = asked, margins
    made = collected(parts, images, protocol.leaf, dataset.taxonomy.leaves, protocol.vocabulary.terms)
    content, card = write_predictions(made), score(made, spec.controls)
    said, asks = predictions_file(content, made.questions_digest(), len(made)), protocol.asked_property
    run = RunSpec(
        task=spec, dataset=DatasetId(name="pocket", fingerprint=dataset.fingerprint, properties=asks and asks.digest),
        encoder=EncoderId(name="pocket", digest="0123abcd", features="4567cdef"),
        lm=LMId(name="pocket", digest="89ab0123", dtype="float32"),
        head=HeadSpec(name="mlp", settings=settings_defaults("mlp")), trainer=TrainerSpec(), seed=seed,
        language=LanguageId(asked=protocol.asked_texts.digest, prompt=RAW) if languages.foreign else None,
    )  # fmt: skip
    result = Result(
        run=run, is_control=False, scores=card.scores, controls=card.controls, validation=card.scores[spec.evaluate[0]],
        categories=card.categories, evidence=protocol.evidence(), predictions=said,
        visual_similarity=VisualSimilarity(
            before=0.3, after=0.3, categories=(Similarity(hypernym="bird", before=0.3, after=0.3),)
        ),
        versions=Versions(taxbench="0.1.0", numerics="1", python="3.11.7", torch="2", transformers="5", numpy="2"),
    )  # fmt: skip
    write_result(folder, result, content, Timing(machine="none", seconds={}))
    return result


def record(folder: Path) -> Record:
    """Return a record as JSON."""
    found: Record = json.loads((folder / "result.json").read_bytes())
    return found


def write(folder: Path, value: Any) -> None:
    """Write a record, or what stands in its place."""
    (folder / "result.json").write_text(json.dumps(value))


def seal(folder: Path, *, scored: bool = True) -> None:
    """Make a record agree with its predictions again, as a forger would; scores unless they are kept."""
    raw, content = record(folder), (folder / "predictions.npz").read_bytes()
    try:
        found = parse_predictions(content, "")
        result = Result.model_validate(raw)
        card = rescore(result, found)
        said = predictions_file(content, found.questions_digest(), len(found))
        if scored:
            own = result.model_copy(update={name: getattr(card, name) for name in FIGURES})
            raw |= own.model_dump(mode="json", include=FIGURES)
    except (DataError, ValidationError):  # what cannot be read cannot be scored; its digest is right all the same
        said = predictions_file(content, "0" * 64, 1)
    write(folder, raw | {"predictions": said.model_dump()})


def older(raw: Record) -> Record:
    """Return a record in the form of version 2, which repeated what follows from `run`."""
    result = Result.model_validate(raw)
    run, encoder, versions = raw["run"], dict(raw["run"]["encoder"]), dict(raw["versions"])
    del encoder["options"]
    encoder["reading"] = result.run.encoder.reading
    versions["taxbench"] = f"{versions['taxbench']}+{versions.pop('numerics')}"
    rest = {name: raw[name] for name in raw if name != "is_control"}
    repeated = {name: getattr(result, name) for name in ("digest", "task", "dataset", "encoder", "lm", "head", "seed")}
    return repeated | rest | {"schema_version": 2, "run": run | {"encoder": encoder}, "versions": versions}


def of_version_2(place: str, value: Any) -> Change:
    """Write the record in the older form, and then change one value."""

    def change(folder: Path) -> None:
        write(folder, older(record(folder)))
        edited(place, value)(folder)

    return change


def edited(place: str, value: Any, *, sealed: bool = False) -> Change:
    """Change one value, at `run.head.name` or `categories.0.f1`; a function makes the new value of the old."""

    def change(folder: Path) -> None:
        raw = record(folder)
        *above, last = [int(part) if part.isdigit() else part for part in place.split(".")]
        target: Any = raw
        for part in above:
            target = target[part]
        target[last] = value(target[last]) if callable(value) else value
        write(folder, raw)
        if sealed:
            seal(folder)

    return change


def named(part: str, name: str) -> Change:
    """Give a dataset, an encoder, an LM or a head another name, everywhere."""
    return edited(f"run.{part}.name", name, sealed=True)


def text(change: Callable[[str], str | bytes]) -> Change:
    """Change the text of the record."""

    def apply(folder: Path) -> None:
        path = folder / "result.json"
        after = change(path.read_text())
        path.write_bytes(after if isinstance(after, bytes) else after.encode())

    return apply


def columns(change: Callable[[Columns], Columns], *, scored: bool = True) -> Change:
    """Change the predictions, and make the record agree with them."""

    def apply(folder: Path) -> None:
        path = folder / "predictions.npz"
        with np.load(path) as file:
            found: Columns = {name: file[name].copy() for name in file.files}
        np.savez_compressed(path, **change(found))
        seal(folder, scored=scored)

    return apply


def members(*added: tuple[str, bytes], keep: bool = True) -> Change:
    """Add raw members to the archive of predictions, and make the record agree with it."""

    def apply(folder: Path) -> None:
        path = folder / "predictions.npz"
        with zipfile.ZipFile(path, "a" if keep else "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in added:
                archive.writestr(name, content)
        seal(folder)

    return apply


def array(header: str, content: bytes = b"") -> bytes:
    """Return an array of NumPy's format with a header of one's own."""
    padded = header + " " * (-(len(header) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded.encode() + content


def promised(shape: str, descr: str = "'<u4'") -> str:
    """Return a header."""
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"


def instead(name: str, put: Callable[[Path], object]) -> Change:
    """Put something else in the place of a file."""

    def apply(folder: Path) -> None:
        (folder / name).rename(folder.parent / f"{folder.name}-{name}")
        put(folder / name)

    return apply


def _half_of(found: Columns) -> Columns:
    """Keep the questions that the run got right, and claim that no others were asked."""
    right = (found["margin_none"] > 0) == found["answer"]
    per_question = [
        name for name in found if name.startswith("margin_") or name in ("split", "image", "term", "answer")
    ]
    return found | {name: found[name][right] for name in per_question}


def _with(**changes: Any) -> Callable[[Columns], Columns]:
    return lambda found: (
        found | {name: value(found[name]) if callable(value) else value for name, value in changes.items()}
    )


def _renamed(old: str, new: str) -> Callable[[np.ndarray], np.ndarray]:
    return lambda names: np.array([new if name == old else name for name in names])


_PICKLE = b"cos\nmkdir\n(S'pwned'\ntR."  # os.mkdir("pwned")


def _large(size: int) -> Callable[[Path], object]:
    def put(path: Path) -> None:
        path.touch()
        os.truncate(path, size)

    return put


def _first(rows: list[Any]) -> list[Any]:
    return [*rows[:3], rows[0], *rows[3:]]


BIDI, ESCAPE = "qwen\u202e3", "pocket\x1b[2J"

BROKEN: dict[str, tuple[Change, str]] = {
    # the file
    "no record": (lambda folder: (folder / "result.json").unlink(), "result.json is missing"),
    "cut off": (text(lambda all: all[: len(all) // 2]), "not JSON at line .* cut off"),
    "not UTF-8": (text(lambda all: all.encode().replace(b"bird", b"b\xff\xferd")), "not UTF-8 at byte"),
    "a list": (lambda folder: write(folder, []), "expected a JSON object"),
    "a key twice": (text(lambda all: all.replace('"seed"', '"seed": 7, "seed"', 1)), "'seed' is given twice"),
    "NaN": (text(lambda all: all.replace('"auroc": 0.', '"auroc": NaN, "x": 0.', 1)), "NaN is not a JSON number"),
    "Infinity": (text(lambda all: all.replace('"auroc": 0.', '"auroc": -Infinity, "x": 0.', 1)),
        "Infinity is not a JSON number"),
    "1e999": (text(lambda all: all.replace('"auroc": 0.', '"auroc": 1e999, "x": 0.', 1)), "1e999 is too large"),
    "5,000 digits": (text(lambda all: all.replace('"seed": 42', '"seed": ' + "9" * 5000, 1)), "Exceeds the limit"),
    "nested": (text(lambda all: all.replace('"fitted": {}', '"fitted": ' + "[" * 10**5, 1)), "recursion|not JSON"),
    "too large": (instead("result.json", _large(2**25 + 1)), "33,554,433 bytes; expected at most"),
    "a link": (instead("result.json", lambda path: path.symlink_to("/etc/passwd")), "result.json is a link"),
    "a folder": (instead("result.json", Path.mkdir), "result.json is a folder"),
    "a pipe": (instead("result.json", os.mkfifo), "result.json is a pipe"),
    # its form
    "another field": (text(lambda all: all.replace("{", '{"html": "x",', 1)),
                      "html: Extra inputs"),
    "an older form": (edited("schema_version", 1), "form 1, .*expected form 2 to 3. Run it again"),
    "a newer form": (edited("schema_version", 99), "schema_version is 99; expected 1 to 3; a newer taxbench"),
    "no known form": (edited("schema_version", "3"), "schema_version is '3'"),
    "a word for a number": (edited("validation.auroc", "0.5"), r'validation.auroc is written as "0.5"; .* writes 0.5'),
    "true for a number": (edited("evidence.n_images", True), "evidence.n_images is written as true"),
    "a huge number": (edited("evidence.n_images", 10**300), "evidence.n_images is 1000.*, larger than anything"),
    "a huge float": (edited("run.trainer.clip", 1e300, sealed=True), "run.trainer.clip is 1e.300, larger"),
    # what it says of itself
    "digest": (of_version_2("digest", "0" * 16), "digest is '0000000000000000', but `run` says '.*': one of them was"),
    "run": (of_version_2("run.trainer.epochs", 9), "digest is '.*', but `run` says"),
    "lm": (of_version_2("lm", "qwen3-8b"), "lm is 'qwen3-8b', but `run` says 'pocket'"),
    "seed": (of_version_2("seed", 7), "seed is '7', but `run` says '42'"),
    "seed as a fraction": (of_version_2("seed", 42.0), "seed is '42.0', but `run` says '42'"),
    "task": (of_version_2("task", "unseen_hypernym@1#00000000"), "is 'unseen_hypernym@1#00000000', but `run` says"),
    "older and newer": (of_version_2("versions", lambda own: own | {"numerics": "9"}), "version 2 has no numerics"),
    "newer and older": (text(lambda all: all.replace("{", '{"seed": 42,', 1)), "seed: Extra inputs"),
    "seed below 0": (edited("run.seed", -1, sealed=True), r"run.seed: .* greater than or equal to 0 \(given -1\)"),
    # its task
    "no such task": (edited("run.task.name", "unseen_hyponym", sealed=True),
                     "Unknown task 'unseen_hyponym' here. Did you mean 'unseen_hypernym'.*--include-path"),
    "another version": (edited("run.task.version", 9, sealed=True), r"unseen_hypernym@9#\w+, which is another version"),
    "an easier task": (edited("run.task.questions.negatives_per_positive", 2, sealed=True),
                       "same version with other content than here"),
    "figures of its own": (edited("run.task.expected", {"source": "me", "dataset": "x", "figures": []}, sealed=True),
                           "run.task.expected is source='me'.* here has None"),
    "no controls": (edited("run.task.controls", ["chance"], sealed=True), r"run.task.controls is \('chance',\)"),
    # names
    "script": (named("lm", "<script>alert(1)</script>"),
        r"lm, '<script>.*', (has letters that no name has \(<, >|is a path)"),
    "an image tag": (named("encoder", "<img src=x onerror=alert(1)>"), r"encoder, .* no name has \(<, >"),
    "another direction": (named("lm", BIDI), r"'qwen\\u\{202e\}3' has a letter|has a letter that cannot be seen"),
    "an escape": (named("dataset", ESCAPE), r"cannot be seen: 'pocket\\u\{1b\}\[2J'"),
    "a Cyrillic o": (named("encoder", "p\u043ecket"), "has letters that no name has"),
    "300 letters": (named("encoder", "W" * 300), "has 300 letters; expected at most 200"),
    "an absolute path": (named("lm", "/home/me/model"), "a path on somebody's machine. Publish it under an alias"),
    "a way up": (named("dataset", "folder:../../etc"), "a path on somebody's machine"),
    "a local path": (named("encoder", "./checkpoints/best"), "a path on somebody's machine"),
    "a path of Windows": (named("encoder", "C:\\models"), "a path on somebody's machine"),
    "a device with markup": (edited("run.device", "<b>cpu", sealed=True), "run.device: String should match .*'<b>cpu'"),
    "a version with markup": (edited("versions.torch", "2<script>"),
        "versions.torch is '2<script>'; expected a version"),
    "a commit of words": (edited("code.commit", "javascript:alert(1)"), "code.commit: String should match .*'javascr"),
    "a pool of words": (edited("run.encoder.options.pool", "pooled | `x`"), "run.encoder.options.pool: .*gridK"),
    "a reading of words": (of_version_2("run.encoder.reading", "pooled | `x`"), "expected such as 'pooled'"),
    "a note with markup": (edited("note", "<b>best</b>"), "note is '<b>best</b>'; expected at most"),
    # its head
    "a head of nobody": (named("head", "mlpp"),
        "'mlpp' is not one of taxbench's and carries no digest.*Did you mean 'mlp'"),
    "a head that is not ours": (edited("run.head.source", "0" * 16, sealed=True), "'mlp' is taxbench's own, but"),
    "an unknown setting": (edited("run.head.settings", lambda own: own | {"hiden": 3}, sealed=True),
                           "no setting 'hiden'. Did you mean 'hidden'"),
    "no setting": (edited("run.head.settings", {"tokens": 1}, sealed=True),
        "run.head.settings lacks '(hidden|dropout)'"),
    "a setting of another kind": (edited("run.head.settings.hidden", "512", sealed=True),
                                  "run.head.settings.hidden is '512'; expected a value like 512"),
    "a setting of markup": (edited("run.head", {"name": "theirs", "settings": {"kind": "<b>"}, "source": "0" * 16},
                                   sealed=True), "run.head.settings.kind is '<b>'; expected a short value"),
    "a name of a setting": (edited("run.head", {"name": "theirs", "settings": {"<b>": 1}, "source": "0" * 16},
                                   sealed=True), "A setting's name is '<b>'; expected small letters"),
    "a control without its note": (named("head", "no_image"), "note is ''; beside the head 'no_image' stands 'control"),
    "a control that says it is none": (named("head", "no_image"), "is_control is 'False'; beside the head .* 'True'"),
    "a control by its own word": (edited("is_control", True), "is_control is 'True'; beside the head 'mlp' .*'False'"),
    # figures
    "a better score": (edited("scores.unseen.macro_f1", 0.999), "scores.unseen.macro_f1 is 0.999, but 0.* follows"),
    "a worse control": (edited("controls.random_lm.unseen.macro_f1", 0.1), "controls.random_lm.unseen.macro_f1 is 0.1"),
    "a worse chance": (edited("controls.chance.unseen.macro_f1", 0.1), "controls.chance.unseen.macro_f1 is 0.1"),
    "a better term": (edited("categories.0.f1", 1.0), r"categories.leaf.airplane.f1 is 1.0, but"),
    "a worse control of a term": (edited("categories.0.controls.random_lm", 0.0), "airplane.controls.random_lm is 0.0"),
    "other counts": (edited("categories.0.n_positive", 99), "airplane.n_positive is 99"),
    "a term less": (edited("categories", lambda rows: rows[1:]), "airplane.f1 is absent"),
    "a term twice": (edited("categories", _first), "categories is in another order, or has a term twice"),
    "a split more": (edited("scores", lambda own: own | {"seen": own["unseen"]}),
        "scores.seen.macro_f1 is 0.*but nothing"),
    "validation above 1": (edited("validation.macro_f1", 1.5), r"validation.macro_f1: .* or equal to 1 \(given 1.5\)"),
    "fewer than none": (edited("validation.n_questions", -5), r"validation.n_questions: .* \(given -5\)"),
    "negative evidence": (edited("evidence.n_leaf_questions", -1),
        r"evidence.n_leaf_questions: .* or equal to 0 \(given -1\)"),
    "all removed twice": (edited("evidence.removed_fraction", 2.0),
        r"evidence.removed_fraction: .* \(given 2.0\)"),
    "no cosine": (edited("visual_similarity.after", 1.5), r"visual_similarity.after: .* or equal to 1 \(given 1.5\)"),
    "a hypernym twice": (edited("visual_similarity.categories", lambda rows: rows * 2),
        "visual_similarity.categories: .*a hypernym is listed twice"),
    # predictions
    "no predictions": (lambda folder: (folder / "predictions.npz").unlink(), "predictions.npz is missing"),
    "predictions unnamed": (edited("predictions", None), "names no predictions"),
    "linked predictions": (instead("predictions.npz", lambda path: path.symlink_to("/dev/zero")), "npz is a link"),
    "a pipe of predictions": (instead("predictions.npz", os.mkfifo), "predictions.npz is a pipe"),
    "large predictions": (instead("predictions.npz", _large(2**26 + 1)), "predictions.npz has 67,108,865 bytes"),
    "no archive": (instead("predictions.npz", lambda path: path.write_bytes(b"PK\x03\x04 no")),
        "not a file of predictions"),
    "edited margins": (columns(_with(margin_none=lambda own: np.abs(own)), scored=False),
                       "scores.leaf.macro_f1 is 0.*follows from the predictions"),
    "another digest": (edited("predictions.sha256", "0" * 64), "has the SHA-256 .*, not 000000000000"),
    "other questions": (edited("predictions.questions", "0" * 64), "have the digest .*, not 000000000000"),
    "another count": (edited("predictions.n_questions", 5), "questions, not 5 as result.json says"),
    "a pickle": (members(("margin_evil.npy", array(promised("(1,)", "'|O'"), _PICKLE))),
        "holds object of shape .*expected one row of numbers"),
    "a bomb": (members(("margin_evil.npy", bytes(80_000_000))), "unpacks to 80,.* at most 67,108,864"),
    "a promise": (members(("margin_evil.npy", array(promised("(1000000000000,)")))),
                  "promises 1,000,000,000,000 values"),
    "a nested header": (members(("margin_evil.npy", array(promised("(" + "-" * 9000 + "1,)")))), "is damaged"),
    "a row of rows": (members(("margin_evil.npy", array(promised("(2, 2)"), bytes(16)))), r"of shape \(2, 2\)"),
    "1,000 columns": (members(*((f"margin_{i}.npy", b"") for i in range(1000))), "too many columns"),
    "a column twice": (members(("split.npy", array(promised("(0,)")))), "or one twice"),
    "a file that is no column": (members(("../../evil.sh", b"echo")), "'../../evil.sh', which is not a column"),
    "an unknown column": (columns(_with(marginn=np.zeros(3))), "column 'marginn' that means nothing"),
    "NaN margins": (columns(_with(margin_none=lambda own: own * np.float16(np.nan))), "finite numbers, float16"),
    "fine margins": (columns(_with(margin_none=lambda own: own.astype(np.float64))), "finite numbers, float16"),
    "answers of 2": (columns(_with(answer=lambda own: (own.astype(np.uint8) * 2).view(bool))),
        "something else than booleans"),
    "no such image": (columns(_with(image=lambda own: own + np.uint16(60000))), "must index .* images"),
    "no letters": (columns(_with(terms=lambda own: np.frombuffer(
        own.astype("<U9").tobytes().replace(b"t\0\0\0", b"\xff\xff\xff\x7f"), "<U9"))), "an invalid character"),
    "more names than questions": (columns(_with(leaves=np.arange(9000).astype(str))), "9,000 names for"),
    "another split": (columns(_with(splits=lambda own: own[[1, 0, 2]])), "has the splits .*; the task's are leaf, "),
    "a control less": (columns(lambda all: {name: all[name] for name in all if name != "margin_random_lm"}),
                       "has the controls .*; the task's are random_lm"),
    "a control more": (columns(lambda all: all | {"margin_extra": all["margin_none"]}), "has the controls .*extra"),
    "a way out": (columns(_with(images=_renamed("airplane/048", "../../etc/passwd"))), "leads out of the dataset's"),
    "a term of markup": (columns(_with(terms=_renamed("bird", "<img src=x>"))), "its terms holds markup: <img src=x>"),
    "a term of escapes": (columns(_with(terms=_renamed("bird", "b\x1b[2Jrd"))), r"cannot be seen: b\\u\{1b\}"),
    # the questions
    "easy questions": (columns(_half_of),
        "not those that the protocol asks of 'pocket' with seed 42: [0-9,]+, not 7,424"),
    "turned answers": (columns(_with(answer=lambda own: ~own)), "question 0 is .*True.*|question 0 is"),
    "turned images": (columns(_with(image=lambda own: own[::-1])), "not those that the protocol asks"),
    "other leaves": (columns(_with(leaf_of=lambda own: own[::-1])), "the leaves of its images are others"),
    "another seed": (edited("run.seed", 43, sealed=True), "not those that the protocol asks of 'pocket' with seed 43"),
    "another pocket": (edited("run.dataset.fingerprint", "0" * 16, sealed=True), "has the fingerprint .* not 0000"),
    "other evidence": (edited("evidence.n_images", 1), "evidence.n_images is 1; the protocol gives"),
    "fewer held out": (edited("evidence.heldout_leaves", []), "evidence.heldout_leaves is .*; the protocol gives"),
}  # fmt: skip
"""What was done to the honest record, and what must be said."""
