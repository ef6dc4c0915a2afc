from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from plimsoll.errors import StoreDamaged
from plimsoll.market.events import Candle, OpenInterest
from plimsoll.market.interval import HOUR, SECOND
from plimsoll.store.audit import audit, gaps, status
from plimsoll.store.reader import Reader
from plimsoll.store.writer import Writer

START = 1_767_225_600 * SECOND


@pytest.fixture
def filled(root):
    with Writer(root) as writer:
        writer.append(
            OpenInterest(
                exchange="x", symbol="BTC/USDT:USDT", time=START + hour * HOUR, amount=100.0 + hour
            )
            for hour in range(1_000)
        )
    return root


def findings(root):
    return [f"{finding.file}: {finding.problem}" for finding in audit(Reader(root))[1]]


def test_a_sound_store_is_clean_and_counted(filled):
    counts, found = audit(Reader(filled))
    assert found == []
    assert (counts["files"], counts["rows"], counts["waiting"]) == (2, 1_000, 0)


def test_a_flipped_byte_is_found(filled):
    path = next((filled / "tables").rglob("2026-01.parquet"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    (found,) = findings(filled)
    assert "2026-01.parquet: its bytes are not those that were sealed" in found


def test_a_missing_file_is_found(filled):
    next((filled / "tables").rglob("2026-02.parquet")).unlink()
    (found,) = findings(filled)
    assert "sealed rows are gone" in found


def test_a_file_nobody_sealed_is_found(filled):
    path = next((filled / "tables").rglob("2026-02.parquet"))
    path.with_name("2026-03.parquet").write_bytes(path.read_bytes())
    (found,) = findings(filled)
    assert "nobody sealed it" in found


@pytest.mark.parametrize("keep", [50, None], ids=["cut short", "a flipped byte"])
def test_a_damaged_stage_is_named_by_whoever_meets_it(root, keep):
    writer = Writer(root)
    writer.append([OpenInterest(exchange="x", symbol="BTC/USDT", time=START, amount=1.0)])
    writer.settle()
    path = next((root / "staged").rglob("*.parquet"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data[:keep])
    (found,) = findings(root)
    assert found.startswith(path.relative_to(root).as_posix())
    assert "out of the store" in found
    with pytest.raises(StoreDamaged, match=path.name):
        writer.seal()
    with pytest.raises(StoreDamaged, match=path.name):
        Writer(root)
    with pytest.raises(StoreDamaged, match="audit"):
        Reader(root).read("open_interest")


def test_a_damaged_journal_is_found_and_its_whole_batches_are_kept(root):
    writer = Writer(root)
    for hour in range(3):
        writer.append(
            [OpenInterest(exchange="x", symbol="BTC/USDT", time=START + hour * HOUR, amount=1.0)]
        )
    (segment,) = (root / "journal").glob("*.journal")
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 0xFF
    segment.write_bytes(data)
    writer.seal()
    assert Reader(root).read("open_interest").height == 2
    (found,) = findings(root)
    assert "bytes do not match their checksum" in found


def test_holes_of_a_regular_series_are_counted_with_what_they_lack(root):
    hours = [h for h in range(100) if h not in {10, 40, 41, 42}]
    with Writer(root) as writer:
        writer.append(
            Candle(
                exchange="x",
                symbol="BTC/USDT",
                time=START + hour * HOUR,
                interval=3_600,
                open=1.0,
                high=1.0,
                low=1.0,
                close=1.0,
            )
            for hour in hours
        )
    (row,) = status(Reader(root))
    assert (row["rows"], row["gaps"], row["missing"]) == (96, 2, 4)
    assert row["detail"] == "1h trade"
    assert row["first"] == datetime(2026, 1, 1, tzinfo=UTC)


def test_stamps_that_jitter_leave_no_holes():
    start = datetime(2026, 1, 1, tzinfo=UTC)
    jitter = (0, 40, 3, 59, 21)
    times = [start + timedelta(hours=8 * n, seconds=jitter[n % 5]) for n in range(200)]
    assert gaps(pl.DataFrame({"time": times})).is_empty()
    assert gaps(pl.DataFrame({"time": [*times[:90], *times[95:]]}))["missing"].to_list() == [5]


def test_an_irregular_series_has_no_holes_to_count():
    start = datetime(2026, 1, 1, tzinfo=UTC)
    times = [start + timedelta(minutes=n * n) for n in range(50)]
    assert gaps(pl.DataFrame({"time": times})) is None
