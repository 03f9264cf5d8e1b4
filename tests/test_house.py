"""The rules of the house, held by tests: import direction, sizes, and what light commands may load."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "taxbench"
LAYERS = ["specs", "registry", "data", "features", "lms", "heads", "training", "scoring", "board", "pocket", "cli"]
# Files of the package's root, by the first layer that they may import from.
FOUNDATION = {"errors", "seeds", "paths", "progress", "_version", "hub"}
FILES = sorted(PACKAGE.rglob("*.py"))


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found.update(name.name for name in node.names)
    return {name for name in found if name.startswith("taxbench.")}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_go_one_way(path: Path) -> None:
    parts = path.relative_to(PACKAGE).parts
    layer = LAYERS.index(parts[0]) if len(parts) > 1 else None
    for name in imported(path):
        target = name.split(".")[1]
        if layer is not None and target in LAYERS:
            assert LAYERS.index(target) <= layer, f"{parts} imports {name}, a later layer"
        if path.stem in FOUNDATION and layer is None:
            assert target in FOUNDATION, f"{path.stem} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") < 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < 50, f"{node.name} is too long"
            arguments = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
            is_command = any("click" in ast.unparse(decorator) for decorator in node.decorator_list)
            plain = [name for name in arguments if name not in ("self", "cls")]
            assert is_command or len(plain) <= 6, f"{node.name} has {len(plain)} parameters"


@pytest.mark.parametrize(
    "line",
    [
        "--help",
        "ls",
        "ls tasks --json",
        "run --help",
        "leaderboard --help",
        "leaderboard show --help",
        "leaderboard check --help",
        "compare --help",
        "analyze --help",
        "score --help",
        "reproduce --help",
        "schema result",
        "pocket --help",
        "extract --help",
        "cache verify --help",
        "validate",
        "validate --help",
        "schema",
        "new --help",
        "show --help",
        "show taxonomic",
    ],
)
def test_light_commands_import_nothing_heavy(line: str) -> None:
    heavy = ("torch", "transformers", "h5py", "sklearn", "scipy", "numpy", "nltk", "matplotlib", "jinja2")
    code = (
        "import sys; from taxbench.cli.main import call; code = call(sys.argv[1:]);"
        f"print('HEAVY', [name for name in {heavy!r} if name in sys.modules]); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code, *line.split()], capture_output=True, text=True, check=True)
    assert "HEAVY []" in done.stdout


def test_everything_public_says_what_it_does() -> None:
    missing = []
    for path in FILES:
        body = ast.parse(path.read_text()).body
        for node in [*body, *(child for part in body if isinstance(part, ast.ClassDef) for child in part.body)]:
            named = isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
            if (
                named and not ast.get_docstring(node) and path.name != "main.py"
            ):  # click's own hooks are documented there
                missing.append(f"{path.relative_to(PACKAGE)}:{node.name}")
    assert not missing
