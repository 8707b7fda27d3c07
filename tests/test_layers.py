"""The rooms of fsslib and who may import whom."""

import ast
from pathlib import Path

import pytest

from tests.support.project import ROOT

ROOMS = (
    "errors", "ranks", "files", "data", "datasets", "encoders", "mining", "rectification",
    "training", "evaluation", "prediction", "experiments", "pictures",
)  # fmt: skip
"""Lowest first: a room imports from rooms before it in this list, and from itself."""

PACKAGE = ROOT / "fsslib"
MODULES = sorted(p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py")


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {name_of(path): path for path in MODULES}


def imports(path: Path) -> set[str]:
    """Modules of fsslib that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (inner & set(NAMES)) or {node.module}
    return {name for name in found if name.split(".")[0] == "fsslib"}


def room(name: str) -> str:
    return name.split(".")[1]


def test_every_module_stands_in_a_room_of_the_list():
    assert {room(name) for name in NAMES} == set(ROOMS)


@pytest.mark.parametrize("name", NAMES)
def test_imports_point_down(name):
    for other in imports(NAMES[name]):
        assert other != "fsslib", f"{name} imports the front, which stands above all rooms"
        assert ROOMS.index(room(other)) <= ROOMS.index(room(name)), f"{name} imports {other}"


def test_no_module_imports_itself_through_others():
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, " -> ".join([*above[above.index(name) :], name])
        if name not in done:
            for other in imports(NAMES[name]) & set(NAMES):
                visit(other, (*above, name))
            done.add(name)

    for name in NAMES:
        visit(name, ())


def test_an_upward_import_would_be_seen(tmp_path):
    path = tmp_path / "low.py"
    path.write_text("def f():\n    from fsslib.pictures import panels\n", encoding="utf-8")
    assert imports(path) == {"fsslib.pictures.panels"}
    assert ROOMS.index("pictures") > ROOMS.index("files")


def test_rooms_are_opened_by_a_docstring_alone():
    for path in PACKAGE.rglob("__init__.py"):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        if path.parent not in (PACKAGE, PACKAGE / "pictures/page"):
            assert len(body) == 1, path
            assert ast.get_docstring(ast.Module(body, [])), path


def test_pictures_are_imported_by_stages_alone():
    for name, path in NAMES.items():
        if room(name) != "pictures":
            assert not any(room(other) == "pictures" for other in imports(path)), name


def test_the_library_knows_nothing_of_dvc_typer_or_params():
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            known = {name.split(".")[0] for name in names}
            assert not known & {"dvc", "dvclive", "typer", "stages", "rich"}, path


@pytest.mark.parametrize(
    "path", sorted((ROOT / "stages").rglob("*.py")), ids=lambda p: p.relative_to(ROOT).as_posix()
)
def test_commands_import_each_other_relatively(path):
    # `stages/` is `fsslib.commands` where it is installed (setup.py).
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        assert not [n for n in names if n.split(".")[0] == "stages" or "fsslib.commands" in n]


def test_contributing_tells_the_same_order():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    places = [text.index(f"`{name}`") for name in ROOMS[2:]]
    assert places == sorted(places)


CODE = sorted(p for p in (*MODULES, *(ROOT / "stages").rglob("*.py")) if "rendering" not in p.parts)


@pytest.mark.parametrize("path", CODE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_files_and_functions_are_short(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 60, node.name
