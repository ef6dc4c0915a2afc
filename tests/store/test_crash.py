"""A process that is killed at any moment loses nothing it acknowledged."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time

import pytest

from plimsoll import ingest
from plimsoll.store.audit import audit
from plimsoll.store.reader import Reader
from plimsoll.store.writer import Writer

APPENDING = """
import sys
from pathlib import Path
from plimsoll.market.events import OpenInterest
from plimsoll.store.writer import Writer

START, STEP = 1_767_225_600_000_000_000, 1_000_000_000
writer = Writer(Path(sys.argv[1]))
first = int(sys.argv[2])
for batch in range(100_000):
    rows = [
        OpenInterest(exchange="x", symbol="BTC/USDT:USDT", time=START + n * STEP, amount=float(n))
        for n in range(first + batch * 50, first + batch * 50 + 50)
    ]
    writer.append(rows)
    print(rows[-1].amount, flush=True)
    if batch % 3 == 2:
        writer.settle()
    if batch % 7 == 6:
        writer.seal()
        print("sealed", flush=True)
"""

STAGING = """
import sys
from pathlib import Path
from plimsoll import ingest
from plimsoll.store.writer import Writer

writer = Writer(Path(sys.argv[1]))
print("opened", flush=True)
ingest.import_files(writer, [Path(sys.argv[2])])
print("done", flush=True)
"""


def killed(script: str, *arguments: str, after: float, until: str = "") -> list[str]:
    """Run a script, kill it some time after it says its first word; return what it said."""
    process = subprocess.Popen(
        [sys.executable, "-c", script, *arguments], stdout=subprocess.PIPE, text=True
    )
    said = [process.stdout.readline().strip()]
    if until not in said:
        time.sleep(after)
    process.send_signal(signal.SIGKILL)
    said += [line.strip() for line in process.stdout if line.endswith("\n")]
    process.stdout.close()
    process.wait()
    return said


@pytest.mark.parametrize("seed", range(4))
def test_a_killed_writer_loses_no_acknowledged_row_and_needs_no_repair(root, seed):
    chance = random.Random(seed)
    said = killed(APPENDING, str(root), "0", after=chance.uniform(0, 0.8))
    acknowledged = max(float(word) for word in said if word != "sealed")
    kept = Reader(root).read("open_interest")["amount"].to_list()
    assert kept == [float(n) for n in range(len(kept))]
    assert len(kept) >= acknowledged + 1
    with Writer(root):
        pass
    assert Reader(root).read("open_interest")["amount"].to_list() == kept
    _, findings = audit(Reader(root))
    assert findings == []
    assert not list((root / "journal").iterdir())


@pytest.mark.parametrize("seed", range(3))
def test_a_killed_import_keeps_whole_files_only_and_can_be_run_again(root, tmp_path, seed):
    folder = tmp_path / "files"
    folder.mkdir()
    for day in range(1, 29):
        lines = [
            f"2026-01-{day:02}T{hour:02}:{minute:02}:00Z,x,BTC/USDT:USDT,{day * hour + minute}\n"
            for hour in range(24)
            for minute in range(60)
        ]
        text = "time,exchange,symbol,amount\n" + "".join(lines)
        (folder / f"open_interest-{day:02}.csv").write_text(text)
    killed(STAGING, str(root), str(folder), after=random.Random(seed).uniform(0, 0.5))
    rows = Reader(root).read("open_interest").height if Reader(root).series() else 0
    assert rows % (24 * 60) == 0
    with Writer(root) as writer:
        report = ingest.import_files(writer, [folder])
    assert report.total("revisions") == report.total("rejected") == 0
    assert Reader(root).read("open_interest").height == 28 * 24 * 60
    _, findings = audit(Reader(root))
    assert findings == []
    assert not list((root / "staged").iterdir())
