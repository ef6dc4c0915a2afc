"""The shape of the house: its floors, its doors, and the size of its rooms."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import plimsoll

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
SOURCES = [
    path
    for folder in ("src", "tools", "benchmarks")
    for path in sorted((ROOT / folder).rglob("*.py"))
]
TESTS = sorted((ROOT / "tests").rglob("*.py"))

LONGEST_FILE = 500
LONGEST_FUNCTION = 50
DRAWERS = {"common", "helper", "helpers", "misc", "util", "utils"}
HEAVY = {"duckdb", "matplotlib", "numba", "pandas", "polars", "pyarrow", "rich"}
HELP = """
import contextlib
from plimsoll.cli import main
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(None):
    main(["--help"])
"""
PROGRAMS = {"import plimsoll": ("import plimsoll", 300), "plimsoll --help": (HELP, 300)}

REGISTRIES = r"pypi\.|pythonhosted\.|registry\.npmjs\.|crates\.io|proxy\.golang\."
MACHINES = r"(?<![\w.~/-])/(?:root|home|work|Users|mnt)/\w"
FORBIDDEN = re.compile(f"{REGISTRIES}|{MACHINES}")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def git_files() -> list[Path]:
    """Every file that is tracked or would be, as text."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    command = [git, "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in names.split("\0") if name and (ROOT / name).is_file()]


def modules_after(program: str) -> list[str]:
    report = "\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program + report], capture_output=True, text=True, check=True
    )
    names: list[str] = json.loads(done.stdout.splitlines()[-1])
    return names


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Yield each function with its lines, neither its decorators nor its docstring counted."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if ast.get_docstring(node, clean=False) is not None:
                first = node.body[0]
                lines -= (first.end_lineno or first.lineno) - first.lineno + 1
            yield f"{name_of(path)}:{node.lineno} {node.name}", lines


def test_the_public_names_are_all_that_is_seen_and_are_sorted() -> None:
    assert plimsoll.__all__ == sorted(plimsoll.__all__)
    assert dir(plimsoll) == plimsoll.__all__
    assert [name for name in plimsoll.__all__ if not hasattr(plimsoll, name)] == []


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = plimsoll.no_such_name


@pytest.mark.parametrize("program", PROGRAMS)
def test_nothing_heavy_is_imported_before_it_is_used(program: str) -> None:
    code, most = PROGRAMS[program]
    modules = modules_after(code)
    assert {name.split(".")[0] for name in modules} & HEAVY == set()
    assert len(modules) < most


def test_no_file_is_longer_than_can_be_read() -> None:
    lengths = {name_of(p): len(p.read_text(encoding="utf-8").splitlines()) for p in SOURCES}
    assert {name: n for name, n in lengths.items() if n > LONGEST_FILE} == {}


def test_no_function_is_longer_than_can_be_read() -> None:
    lengths = dict(item for path in SOURCES for item in functions(path))
    assert {name: n for name, n in lengths.items() if n > LONGEST_FUNCTION} == {}


def test_no_file_is_a_drawer_for_everything() -> None:
    assert [name_of(path) for path in SOURCES + TESTS if path.stem.strip("_") in DRAWERS] == []


def test_no_file_names_a_registry_or_a_path_of_a_machine() -> None:
    found = []
    for path in git_files():
        text = path.read_bytes().decode("utf-8", errors="replace")
        found += [f"{name_of(path)}: {match[0]}" for match in FORBIDDEN.finditer(text)]
    assert found == []


def test_the_search_for_registries_and_paths_finds_them() -> None:
    # Put together here, or the search would find this file.
    host, data = "pypi", Path("/", "home", "someone", "data")
    assert FORBIDDEN.search(f"see {data}")
    assert FORBIDDEN.search(f"get it from {host}.org")
    assert not FORBIDDEN.search("market/homework and a/root/folder")


def test_each_floor_imports_only_the_floors_below_it() -> None:
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run(
        [sys.executable, "-c", program, "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
