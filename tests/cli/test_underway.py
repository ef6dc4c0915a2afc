from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import plimsoll
from plimsoll.cli.underway import part, words
from plimsoll.progress import Stage

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    session = plimsoll.open(tmp_path_factory.mktemp("underway") / "store")
    session.simulate("crash", coins=("SOL",), days=10)
    return session.path


def command(store: Path) -> list[str]:
    asked = ["SOL/USDT:USDT", "--exchange", "sim-a", "--interval", "1h", "--fit"]
    return [sys.executable, "-m", "plimsoll", "heatmap", *asked, "--store", str(store)]


def test_a_fit_says_on_a_terminal_how_far_it_is_and_leaves_no_trace_of_it(store: Path) -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen(
        command(store), stdout=subprocess.PIPE, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        said = b""
        try:
            while found := os.read(ours, 4_096):
                said += found
        except OSError:  # the terminal is left
            pass
        assert process.stdout is not None
        answer = process.stdout.read().decode()
    os.close(ours)
    assert process.returncode == 0
    assert re.search(rb"fitting market 1 of 1, assumption \d+ of \d+", said)
    assert said.rstrip().endswith((b"\x1b[2K", b"\x1b[?25h\r\x1b[1A\x1b[2K"))
    assert "fitting" not in answer


def test_a_fit_says_nothing_to_a_file(store: Path) -> None:
    done = subprocess.run(command(store), capture_output=True, check=True)
    assert done.stderr == b""


def test_stages_within_stages_are_told_as_a_share() -> None:
    stages = (Stage("fitting", 1, 3), Stage("candidates", 8, 32))
    assert words(stages) == "fitting market 2 of 3, assumption 9 of 32"
    assert part(stages) == (1 + 8 / 32) / 3
    assert part(()) == 0
