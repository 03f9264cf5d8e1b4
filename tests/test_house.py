"""The rules of the house, held by tests: import direction, sizes, and what light commands may load."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.made import assert_light

PACKAGE = Path(__file__).parents[1] / "taxbench"
ROOMS = [
    {"util", "specs"}, {"registry"}, {"tasks", "taxonomy"}, {"datasets"}, {"protocol"}, {"features", "lms", "results"},
    {"heads", "scoring"}, {"systems", "training"}, {"runs"},
]  # fmt: skip
"""The rooms of the core on their floors: a room imports from floors below its own."""
SATELLITES = {"board", "pocket"}
"""They import from the core, and nothing in it imports them."""
DOORS = {"cli", "__init__", "__main__"}
"""They may import everything, and nothing imports them."""
FILES = sorted(PACKAGE.rglob("*.py"))
by_name = {"ids": lambda path: path.relative_to(PACKAGE).as_posix()}


def imported(path: Path) -> set[str]:
    """Return what a file of the package imports of the package, by import or by a string that is imported."""
    tree, found = ast.parse(path.read_text()), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names if node.module == "taxbench")}
        elif isinstance(node, ast.Import):
            found.update(name.name for name in node.names)
    if "import_module" in path.read_text():
        strings = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
        found.update(text for text in strings if isinstance(text, str))
    return {name for name in found if re.match(r"taxbench\.(?!_version)\w", name)}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def floor_of(room: str) -> int:
    return next(i for i, rooms in enumerate(ROOMS) if room in rooms)


@pytest.mark.parametrize("path", FILES, **by_name)
def test_imports_go_one_way(path: Path) -> None:
    own = room_of(path)
    targets = {name.split(".")[1] for name in imported(path)} - {own}
    if own in DOORS:
        return
    assert not targets & DOORS
    if own == "_version":
        assert not targets
    elif own not in SATELLITES:
        assert not targets & SATELLITES, f"{path} is of the core and imports a satellite"
        for target in targets:
            below = floor_of(target) < floor_of(own) or {own, target} == {"util", "specs"}
            assert below, f"{path} imports {target}, which is not below {own}"


def test_every_module_lies_in_a_room() -> None:
    known = set().union(*ROOMS) | SATELLITES | DOORS | {"_version"}
    assert {room_of(path) for path in FILES} == known


def test_no_two_modules_and_no_two_public_classes_share_a_name() -> None:
    modules, classes = Counter[str](), Counter[str]()
    for path in FILES:
        if room_of(path) != "cli" and not path.stem.startswith("__"):
            modules[path.stem] += 1
        found = [node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef)]
        classes.update(name for name in found if not name.startswith("_") and name != "Settings")
    assert [name for name, n in modules.items() if n > 1] == []
    assert [name for name, n in classes.items() if n > 1] == []


@pytest.mark.parametrize("path", FILES, **by_name)
def test_files_and_functions_stay_small(path: Path) -> None:
    """A warning light, not a wall: raise a limit where a longer file reads better than two."""
    text = path.read_text()
    assert text.count("\n") < 500
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < 60, f"{node.name} is too long"
            arguments = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
            is_command = any("click" in ast.unparse(decorator) for decorator in node.decorator_list)
            is_command |= path == PACKAGE / "__init__.py"  # which has the options of commands in Python
            plain = [name for name in arguments if name not in ("self", "cls")]
            assert is_command or len(plain) <= 6, f"{node.name} has {len(plain)} parameters"


def test_light_commands_import_nothing_heavy() -> None:
    heavy = ("torch", "transformers", "h5py", "sklearn", "scipy", "numpy", "nltk", "matplotlib", "jinja2")
    groups = ("", "run ", "leaderboard ", "leaderboard show ", "leaderboard check ", "compare ", "analyze ", "score ",
              "reproduce ", "pocket ", "extract ", "cache verify ", "validate ", "new ", "show ")  # fmt: skip
    does = ("ls", "ls tasks --json", "schema", "schema result", "validate", "show taxonomic")
    lines = [*(f"{group}--help" for group in groups), *does]
    assert_light(heavy, lines)


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
