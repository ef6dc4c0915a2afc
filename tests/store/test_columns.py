"""Stores written before a table gained a column: the rows are read, merged and exported as now."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as replace_event

from plimsoll import session
from plimsoll.errors import StoreDamaged
from plimsoll.market.events import OpenInterest, Trade
from plimsoll.market.interval import HOUR, SECOND
from plimsoll.market.schema import TABLES
from plimsoll.sql import ask
from plimsoll.store.audit import audit, status
from plimsoll.store.layout import FORMAT
from plimsoll.store.reader import Reader
from plimsoll.store.tail import Tail
from plimsoll.store.writer import Writer

START = 1_767_225_600 * SECOND  # 2026-01-01T00:00:00Z
KIND, GAINED = "open_interest", "value_usd"


def interest(hour: int, amount: float, value: float | None = None) -> OpenInterest:
    return OpenInterest(
        exchange="binance",
        symbol="BTC/USDT:USDT",
        time=START + hour * HOUR,
        amount=amount,
        value_usd=value,
    )


@pytest.fixture
def before():
    """What this version would do if the table had not gained its column yet."""

    def write(root, rows, *, way: str = "sealed", kind: str = KIND, gained: str = GAINED) -> None:
        now = TABLES[kind]
        TABLES[kind] = replace(now, columns=tuple(c for c in now.columns if c.name != gained))
        try:
            writer = Writer(root)
            writer.append(rows)
            if way == "staged":
                writer.settle()
            elif way == "sealed":
                writer.seal()
            else:
                writer._journal.close()  # noqa: SLF001 (what a writer that dies leaves)
            writer.catalogue.close()
        finally:
            TABLES[kind] = now
        (root / "plimsoll.json").write_text(json.dumps({"format": FORMAT - 1}))

    return write


def told(root, **question) -> list[tuple[float, float | None]]:
    frame = Reader(root).read(KIND, **question)
    assert frame.schema == TABLES[KIND].schema
    return list(frame.select("amount", GAINED).iter_rows())


def columns(root) -> list[list[str]]:
    return [pq.read_schema(path).names for path in sorted((root / "tables").rglob("*.parquet"))]


WAYS = ["journal", "staged", "sealed"]


@pytest.mark.parametrize("way", WAYS)
def test_rows_from_before_are_read_with_the_column_unknown(root, before, way):
    before(root, [interest(0, 1.0), interest(1, 2.0)], way=way)
    assert told(root) == [(1.0, None), (2.0, None)]
    assert told(root, as_of=datetime(2026, 1, 1, 0, 30, tzinfo=UTC)) == [(1.0, None)]
    assert Reader(root).read(KIND, columns=[GAINED])[GAINED].to_list() == [None, None]
    assert json.loads((root / "plimsoll.json").read_text())["format"] == FORMAT - 1


@pytest.mark.parametrize("way", WAYS)
def test_rows_from_before_and_of_now_are_one_series(root, before, way):
    before(root, [interest(0, 1.0), interest(2, 3.0)], way=way)
    with Writer(root) as writer:
        writer.append([interest(1, 2.0, 200.0), interest(24 * 40, 4.0, 400.0)])
        expected = [(1.0, None), (2.0, 200.0), (3.0, None), (4.0, 400.0)]
        assert told(root) == expected
    assert told(root) == expected
    assert all(GAINED in names for names in columns(root))
    assert json.loads((root / "plimsoll.json").read_text())["format"] == FORMAT


def test_a_row_from_before_is_the_same_fact_still(root, before):
    before(root, [interest(0, 1.0), interest(1, 2.0)])
    with Writer(root) as writer:
        writer.append([interest(0, 1.0), interest(1, 2.0, 200.0)])
    # The first says no more than is known; the second knows what was unknown.
    (series,) = Reader(root).series(KIND)
    assert Reader(root).revisions(series)[GAINED].to_list() == [200.0]
    assert told(root) == [(1.0, None), (2.0, 200.0)]


def test_revisions_from_before_are_followed_by_those_of_now(root, before):
    before(root, [interest(0, 1.0)])
    before(root, [interest(0, 5.0)])
    (series,) = Reader(root).series(KIND)
    assert Reader(root).revisions(series).select("amount", GAINED).rows() == [(5.0, None)]
    assert told(root) == [(5.0, None)]
    with Writer(root) as writer:
        writer.append([interest(0, 6.0, 600.0)])
    assert Reader(root).revisions(series).select("amount", GAINED).rows() == [
        (5.0, None),
        (6.0, 600.0),
    ]
    assert told(root) == [(6.0, 600.0)]


@pytest.mark.parametrize("way", WAYS)
def test_nobody_cries_damage(root, before, way):
    before(root, [interest(hour, 1.0) for hour in range(3)], way=way)
    assert audit(Reader(root)).findings == []
    (row,) = status(Reader(root))
    assert row["rows"] == 3
    with Writer(root) as writer:
        writer.append([interest(24 * 40, 4.0, 400.0)])
    found = audit(Reader(root))
    assert found.findings == []
    assert found.counts["rows"] == 4


def test_a_catalogue_that_was_lost_is_rebuilt_from_files_of_before(root, before):
    before(root, [interest(0, 1.0)])
    (root / "catalogue.sqlite").unlink()
    Writer(root).catalogue.close()
    assert audit(Reader(root)).findings == []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("later", [False, True])
def test_questions_in_sql_see_the_column(root, before, way, later):
    before(root, [interest(0, 1.5), interest(1, 2.25)], way=way)
    expected = [(1.5, None), (2.25, None)]
    if later:  # a file of each sort, with decimals of other lengths
        with Writer(root) as writer:
            writer.append([interest(24 * 40, 4.0625, 400.0)])
        expected.append((4.0625, 400.0))
    found = ask(Reader(root), f"SELECT amount, {GAINED} FROM {KIND} ORDER BY time", None)
    assert found.schema == {"amount": pl.Float64, GAINED: pl.Float64}
    assert found.rows() == expected
    counted = ask(Reader(root), f"SELECT count(*) AS n, count({GAINED}) AS k FROM {KIND}", None)
    assert counted.row(0) == (len(expected), int(later))
    whole = ask(Reader(root), f"SELECT * FROM {KIND}", None)
    assert whole.schema == TABLES[KIND].schema


def test_what_was_exported_before_is_imported_now(root, before, tmp_path):
    before(root, [interest(0, 1.0), interest(1, 2.0)])
    old = session.open(root).read(KIND).drop(GAINED)  # the columns that a file of before has
    old.write_parquet(tmp_path / "open_interest.parquet")
    other = session.open(tmp_path / "other")
    other.import_files([tmp_path / "open_interest.parquet"])
    assert told(tmp_path / "other") == [(1.0, None), (2.0, None)]


def test_who_watches_the_end_of_the_journal_sees_the_column(root, before):
    Writer(root).catalogue.close()
    tail = Tail(Reader(root).layout)
    before(root, [interest(0, 1.0)], way="journal")
    seen = tail.look()[KIND]
    assert seen.schema == TABLES[KIND].schema
    assert seen[GAINED].to_list() == [None]
    tail.close()


def test_a_column_that_no_row_may_lack_is_not_made_up(root, before):
    before(root, [interest(0, 1.0)])
    path = next((root / "tables").rglob("*.parquet"))
    pl.read_parquet(path).drop("symbol").write_parquet(path)
    with pytest.raises(StoreDamaged):
        Reader(root).read(KIND)
    (finding,) = audit(Reader(root)).findings
    assert "its bytes are not those that were sealed" in finding.problem


@pytest.mark.parametrize("way", WAYS)
def test_trades_from_before_do_not_tell_where_they_were_made_until_they_are_brought_again(
    root, before, way
):
    about = {"exchange": "deribit", "symbol": "BTC/USD:BTC-260327-90000-C", "time": START}
    old = [Trade(**about, id=n, side="buy", price=0.01, amount=1.0) for n in range(3)]
    before(root, old, way=way, kind="trade", gained="origin")
    assert Reader(root).read("trade")["origin"].to_list() == [None, None, None]
    with Writer(root) as writer:
        writer.append([replace_event(old[1], origin="block")])
    told = Reader(root).read("trade").sort("id")
    assert told["origin"].to_list() == [None, "block", None]
    found = ask(Reader(root), "SELECT id, origin FROM trade WHERE origin = 'block'", None)
    assert found.rows() == [(1, "block")]
    assert audit(Reader(root)).findings == []


hours = st.integers(0, 24 * 45)


@settings(max_examples=10)  # each writes two stores
@given(
    old=st.dictionaries(hours, st.floats(0, 1e6), max_size=6),
    now=st.dictionaries(hours, st.tuples(st.floats(0, 1e6), st.floats(0, 1e9)), max_size=6),
    way=st.sampled_from(WAYS),
)
def test_a_store_of_two_versions_is_what_this_one_would_have_written(
    tmp_path_factory, before, old, now, way
):
    mixed, whole = tmp_path_factory.mktemp("mixed"), tmp_path_factory.mktemp("whole")
    first = [interest(hour, amount) for hour, amount in old.items()]
    second = [interest(hour, *values) for hour, values in now.items() if hour not in old]
    if not first:
        return
    before(mixed, first, way=way)
    for root, batches in ((mixed, [second]), (whole, [first, second])):
        for batch in batches:
            with Writer(root) as writer:
                writer.append(batch)
    assert Reader(mixed).read(KIND).equals(Reader(whole).read(KIND))
    assert audit(Reader(mixed)).findings == []
