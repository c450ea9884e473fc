"""The house style, held as a test: sizes, names, markers, exception trees, ownership."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = (
    "redcard",
    "terminal",
    "server",
    "sync",
    "readers",
    "ledger",
    "keys",
    "screens",
    "firmware_profiles",
)
MODULE_LINES_MAX = 400
MODULE_LINES_MEDIAN_MAX = 200
FUNCTION_LINES_MAX = 60
BANNED_NAMES = re.compile(r"(Manager|Helper|Utils?|Wrapper)$|(^|_)(utils?|helpers?|misc|common)$")
MARKERS = re.compile(
    r"\b(" + "|".join(("FIX" + "ME", "TO" + "DO", "XX" + "X", "HA" + "CK")) + r")\b"
)


def modules(*packages: str) -> Iterator[Path]:
    for package in packages:
        for path in sorted((ROOT / package).rglob("*.py")):
            if "migrations/versions" not in path.as_posix():
                yield path


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_modules_are_short() -> None:
    lengths = {
        name_of(path): len(path.read_text("utf-8").splitlines()) for path in modules(*PACKAGES)
    }
    assert len(lengths) > 50, "the walk over the packages found too little"
    long = {name: lines for name, lines in lengths.items() if lines > MODULE_LINES_MAX}
    assert not long, f"split these: {long}"
    filled = [lines for lines in lengths.values() if lines > 5]
    assert statistics.median(filled) <= MODULE_LINES_MEDIAN_MAX


def test_functions_are_short() -> None:
    long = [
        f"{name_of(path)}:{node.lineno} {node.name} {length}"
        for path in modules(*PACKAGES)
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES_MAX
    ]
    assert not long, "split these:\n" + "\n".join(long)


def test_names_are_the_fields_own() -> None:
    bad = []
    for path in modules(*PACKAGES, "tests"):
        if BANNED_NAMES.search(path.stem):
            bad.append(name_of(path))
        bad += [
            f"{name_of(path)}:{node.lineno} {node.name}"
            for node in ast.walk(tree_of(path))
            if isinstance(node, ast.ClassDef) and BANNED_NAMES.search(node.name)
        ]
    assert not bad, f"say what it is: {bad}"


def test_no_star_imports_and_no_leftover_markers() -> None:
    bad = []
    for path in modules(*PACKAGES, "tests"):
        text = path.read_text("utf-8")
        bad += [
            f"{name_of(path)}:{number}"
            for number, line in enumerate(text.splitlines(), 1)
            if MARKERS.search(line)
        ]
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
                bad.append(f"{name_of(path)}:{node.lineno} star import")
    assert not bad, bad


def test_nothing_broad_is_caught_and_dropped() -> None:
    bad = []
    for path in modules(*PACKAGES):
        for node in ast.walk(tree_of(path)):
            if not isinstance(node, ast.ExceptHandler):
                continue
            broad = node.type is None or (
                isinstance(node.type, ast.Name) and node.type.id in {"Exception", "BaseException"}
            )
            silent = all(isinstance(item, ast.Pass | ast.Continue) for item in node.body)
            if broad and silent:
                bad.append(f"{name_of(path)}:{node.lineno}")
    assert not bad, bad


def test_every_module_says_what_it_is() -> None:
    bare = [
        name_of(path)
        for path in modules(*PACKAGES)
        if path.read_text("utf-8").strip() and not ast.get_docstring(tree_of(path))
    ]
    assert not bare, bare


def test_no_mocks() -> None:
    forbidden = re.compile(r"unittest\." + r"mock|\bMagic" + r"Mock\b")
    bad = [
        name_of(p) for p in modules(*PACKAGES, "tests") if forbidden.search(p.read_text("utf-8"))
    ]
    assert not bad, f"a fake is an implementation of a port: {bad}"


@pytest.mark.parametrize("package", PACKAGES)
def test_each_package_draws_its_exception_tree(package: str) -> None:
    path = ROOT / package / "errors.py"
    assert path.exists(), f"{package} needs an errors.py"
    tree = tree_of(path)
    drawn = ast.get_docstring(tree) or ""
    classes = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    assert classes
    missing = [name for name in classes if not re.search(rf"\b{name}\b", drawn)]
    assert not missing, f"{package}/errors.py does not draw {missing}"


def test_every_test_folder_is_a_package() -> None:
    """Without it ``tests/ledger`` would be imported as ``ledger``."""
    folders = {path.parent for path in (ROOT / "tests").rglob("*.py")}
    bare = [name_of(folder) for folder in folders if not (folder / "__init__.py").exists()]
    assert not bare, bare


def test_installed_names_are_ours_alone() -> None:
    owners = importlib.metadata.packages_distributions()
    for package in PACKAGES:
        assert set(owners.get(package, ["redcard"])) == {"redcard"}, f"{package} has another owner"


def test_pages_load_nothing_from_outside() -> None:
    outside = re.compile(r"""(src|href|url)\s*[=(]\s*["']?(https?:)?//(?!127\.0\.0\.1|localhost)""")
    bad = [
        f"{name_of(path)}:{number}"
        for package in PACKAGES
        for suffix in ("*.html", "*.css", "*.js")
        for path in (ROOT / package).rglob(suffix)
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if outside.search(line) and "www.w3.org" not in line
    ]
    assert not bad, bad
