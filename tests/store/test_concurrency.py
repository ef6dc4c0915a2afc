"""Two processes read while a third writes and seals."""

from __future__ import annotations

import json
import subprocess
import sys

from plimsoll.store.audit import audit
from plimsoll.store.reader import Reader

WRITING = """
import sys
from pathlib import Path
from plimsoll.market.events import OpenInterest
from plimsoll.store.writer import Writer

START, HOUR = 1_767_225_600_000_000_000, 3_600_000_000_000
with Writer(Path(sys.argv[1])) as writer:
    for batch in range(60):
        writer.append(
            OpenInterest(exchange="x", symbol="BTC/USDT:USDT", time=START + n * HOUR, amount=1.0)
            for n in range(batch * 40, batch * 40 + 40)
        )
        print(batch, flush=True)
        if batch % 3 == 2:
            writer.seal()
"""

READING = """
import json, sys, time
from pathlib import Path
from plimsoll.store.audit import audit
from plimsoll.store.reader import Reader

reader, counts, findings = Reader(Path(sys.argv[1])), [], 0
print("reading", flush=True)
while not counts or counts[-1] < 2_400:
    counts.append(reader.read("open_interest").height)
    findings += len(audit(reader)[1])
print(json.dumps([counts, findings]))
"""


def started(script, root, *, word):
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(root)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline().strip() == word, process.stderr.read()
    return process


def test_readers_never_fail_never_lose_a_row_and_never_cry_damage(root):
    writer = started(WRITING, root, word="0")
    readers = [started(READING, root, word="reading") for _ in range(2)]
    _, complaint = writer.communicate(timeout=120)
    assert writer.returncode == 0, complaint
    for reader in readers:
        told, complaint = reader.communicate(timeout=120)
        assert reader.returncode == 0, complaint
        counts, findings = json.loads(told)
        assert counts == sorted(counts)
        assert all(count % 40 == 0 for count in counts)
        assert findings == 0
    assert Reader(root).read("open_interest").height == 2_400
    assert audit(Reader(root))[1] == []
