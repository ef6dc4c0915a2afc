from __future__ import annotations

import json
import math
import os
import shutil
import sqlite3
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.errors import NoSuchData, StoreDamaged, StoreTooNew, StoreUnusable
from plimsoll.ingest import import_files
from plimsoll.market.events import Funding, OpenInterest, OptionQuote, Trade
from plimsoll.market.instrument import Brackets, Instrument
from plimsoll.market.interval import HOUR, SECOND
from plimsoll.market.schema import TABLES, rows
from plimsoll.store import merge
from plimsoll.store.catalogue import Catalogue
from plimsoll.store.layout import Layout, Series, months
from plimsoll.store.reader import Reader
from plimsoll.store.writer import Writer

START = 1_767_225_600 * SECOND  # 2026-01-01T00:00:00Z


def interest(hour: int, amount: float, **more: object) -> OpenInterest:
    return OpenInterest(
        exchange="binance",
        symbol="BTC/USDT:USDT",
        time=START + hour * HOUR,
        amount=amount,
        **more,
    )


def kept(root, **question):
    return Reader(root).read("open_interest", **question)["amount"].to_list()


def test_rows_are_seen_before_and_after_they_are_sealed(root):
    with Writer(root) as writer:
        writer.append([interest(hour, 100.0 + hour) for hour in range(3)])
        before = kept(root)
    assert before == kept(root) == [100.0, 101.0, 102.0]
    assert not list((root / "journal").iterdir())


def test_the_same_rows_again_change_nothing(root):
    for _ in range(2):
        with Writer(root) as writer:
            writer.append([interest(hour, 100.0 + hour) for hour in range(3)])
    files = sorted((root / "tables").rglob("*.parquet"))
    before = [path.read_bytes() for path in files]
    with Writer(root) as writer:
        writer.append([interest(1, 101.0)])
    assert [path.read_bytes() for path in files] == before
    assert kept(root) == [100.0, 101.0, 102.0]


def test_rows_out_of_order_are_kept_in_order(root):
    with Writer(root) as writer:
        writer.append([interest(hour, float(hour)) for hour in (5, 1, 900, 3)])
        writer.append([interest(2, 2.0)])
    assert kept(root) == [1.0, 2.0, 3.0, 5.0, 900.0]


def test_a_contradicting_row_is_kept_aside_and_as_of_chooses(root):
    with Writer(root) as writer:
        writer.append([interest(0, 100.0), interest(1, 101.0)])
    before = datetime.now(tz=UTC)
    with Writer(root) as writer:
        writer.append([interest(1, 777.0)])
    (series,) = Reader(root).series("open_interest")
    aside = Reader(root).revisions(series)
    assert aside["amount"].to_list() == [777.0]
    assert aside["source"].to_list() == ["journal"]
    assert kept(root, as_of=before) == [100.0, 101.0]
    assert kept(root, as_of=datetime.now(tz=UTC)) == [100.0, 777.0]
    sealed = pl.read_parquet(next((root / "tables").rglob("*.parquet")))
    assert sealed["amount"].cast(pl.Float64).to_list() == [100.0, 101.0]


def test_the_same_contradiction_twice_is_one_revision(root):
    for amount in (100.0, 777.0, 777.0, 100.0):
        with Writer(root) as writer:
            writer.append([interest(0, amount)])
    (series,) = Reader(root).series("open_interest")
    assert Reader(root).revisions(series).height == 1


def test_versions_known_at_stated_times_are_chosen_by_those_times(root):
    early, late = START + 2 * HOUR, START + 30 * HOUR
    for version in (interest(0, 100.0, known_at=late), interest(0, 90.0, known_at=early)):
        with Writer(root) as writer:
            writer.append([version])
    assert kept(root, as_of=datetime(2026, 1, 1, 1, tzinfo=UTC)) == []
    assert kept(root, as_of=datetime(2026, 1, 1, 3, tzinfo=UTC)) == [90.0]
    assert kept(root) == [100.0]


def versions(root, *rows):
    for row in rows:
        with Writer(root) as writer:
            writer.append([interest(0, **row)])


def known_on(day: int) -> int:
    return START + day * 24 * HOUR


def value(root, day: int | None = None) -> tuple[float | None, float | None]:
    as_of = None if day is None else datetime(2026, 1, day + 1, 12, tzinfo=UTC)
    row = Reader(root).read("open_interest", as_of=as_of).row(0, named=True)
    return row["amount"], row["value_usd"]


def test_a_correction_may_be_corrected_back(root):
    versions(
        root,
        {"amount": 1.0, "known_at": known_on(3)},
        {"amount": 2.0, "known_at": known_on(4)},
        {"amount": 1.0, "known_at": known_on(5)},
    )
    assert [value(root, day)[0] for day in (3, 4, 5)] == [1.0, 2.0, 1.0]
    assert value(root)[0] == 1.0


def test_an_old_file_imported_again_takes_no_correction_back(root):
    versions(root, {"amount": 1.0}, {"amount": 2.0}, {"amount": 3.0}, {"amount": 2.0})
    assert value(root)[0] == 3.0


def test_what_a_version_leaves_unknown_stays_as_before_it_but_never_as_after(root):
    versions(
        root,
        {"amount": 5.0, "value_usd": 1_000.0, "known_at": known_on(9)},
        {"amount": 4.0, "known_at": known_on(3)},
        {"amount": 6.0, "known_at": known_on(12)},
    )
    assert value(root, 3) == (4.0, None)
    assert value(root, 9) == (5.0, 1_000.0)
    assert value(root) == (6.0, 1_000.0)


def test_a_revision_is_seen_before_it_is_sealed(root):
    versions(root, {"amount": 1.0})
    with Writer(root) as writer:
        writer.append([interest(0, 2.0)])
        assert value(root)[0] == 2.0
    assert value(root)[0] == 2.0


def test_a_row_that_knows_less_contradicts_nothing(root):
    with Writer(root) as writer:
        writer.append([interest(0, 100.0, value_usd=9e6)])
        writer.append([interest(0, 100.0)])
    (series,) = Reader(root).series("open_interest")
    assert Reader(root).revisions(series).height == 0


def test_a_row_that_knows_more_completes_the_kept_one(root):
    with Writer(root) as writer:
        writer.append([interest(0, 100.0)])
        writer.append([OpenInterest(**(base(0) | {"value_usd": 9e6}))])
    row = Reader(root).read("open_interest").row(0, named=True)
    assert (row["amount"], row["value_usd"]) == (100.0, 9e6)


def base(hour: int) -> dict[str, object]:
    return {"exchange": "binance", "symbol": "BTC/USDT:USDT", "time": START + hour * HOUR}


def test_settlements_stamped_milliseconds_apart_are_one(root):
    late = 9_000_000  # nanoseconds
    with Writer(root) as writer:
        writer.append([Funding(**base(0), rate=0.0001), Funding(**base(8), rate=0.0002)])
        again = base(8) | {"time": START + 8 * HOUR + late}
        writer.append([Funding(**again, rate=0.0002)])
    assert Reader(root).read("funding")["rate"].to_list() == [0.0001, 0.0002]


def test_a_settlement_stamped_just_before_midnight_belongs_to_the_next_month(root):
    early = START - 3_000_000
    with Writer(root) as writer:
        writer.append([Funding(**(base(0) | {"time": early}), rate=0.0001)])
        writer.append([Funding(**base(0), rate=0.0001)])
    whole = Reader(root).read("funding")
    assert whole.height == 1
    december = Reader(root).read(
        "funding",
        since=datetime(2025, 12, 1, tzinfo=UTC),
        until=datetime(2026, 1, 1, tzinfo=UTC),
    )
    assert december.height == 1


def test_predictions_within_one_hour_are_different_facts(root):
    with Writer(root) as writer:
        for minute, rate in ((5, 0.0001), (20, 0.0003)):
            stamp = base(0) | {"time": START + minute * 60 * SECOND}
            writer.append([Funding(**stamp, rate=rate, status="predicted")])
    assert Reader(root).read("funding")["rate"].to_list() == [0.0001, 0.0003]


def test_options_of_one_underlying_lie_together_and_are_found_by_their_symbol(root):
    quotes = [
        OptionQuote(
            exchange="deribit",
            symbol=f"BTC/USD:BTC-260327-{strike}-C",
            time=START,
            mark_iv=0.5,
        )
        for strike in (80_000, 90_000)
    ]
    with Writer(root) as writer:
        writer.append(quotes)
    reader = Reader(root)
    assert reader.series() == [Series("option_quote", "deribit", "BTC/USD:BTC")]
    assert reader.read("option_quote", symbol=quotes[1].symbol).height == 1
    assert reader.read("option_quote", symbol="BTC/USD:BTC").height == 2


def test_ranges_are_half_open(root):
    with Writer(root) as writer:
        writer.append([interest(hour, float(hour)) for hour in range(5)])
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    asked = kept(root, since=moment + timedelta(hours=1), until=moment + timedelta(hours=3))
    assert asked == [1.0, 2.0]


def test_columns_are_those_named_in_their_order_sealed_or_not(root):
    with Writer(root) as writer:
        writer.append([interest(1, 10.0)])
        writer.seal()
        writer.append([interest(2, 20.0), interest(1, 11.0)])  # the last one contradicts
    whole = Reader(root).read("open_interest")
    named = Reader(root).read("open_interest", columns=["amount", "time"])
    assert named.columns == ["amount", "time"]
    assert named["amount"].to_list() == [11.0, 20.0]
    assert named.equals(whole.select("amount", "time"))


def test_an_event_that_breaks_a_rule_is_refused_and_nothing_is_kept(root):
    with Writer(root) as writer:
        with pytest.raises(ValueError, match="amount breaks its rule"):
            writer.append([interest(0, 1.0), interest(1, -1.0)])
        with pytest.raises(ValueError, match="time breaks its rule"):
            writer.append([OpenInterest(exchange="x", symbol="BTC/USDT", time=5, amount=1.0)])
    with pytest.raises(NoSuchData, match="nothing stored"):
        kept(root)


def test_asking_for_what_is_not_there_says_what_is(root):
    with Writer(root) as writer:
        writer.append([interest(0, 1.0)])
    with pytest.raises(NoSuchData, match="stored open_interest: binance BTC/USDT:USDT"):
        kept(root, symbol="XYZ/USDT:USDT")
    with pytest.raises(NoSuchData, match="stored kinds: open_interest"):
        Reader(root).read("trade")
    with pytest.raises(ValueError, match="there is no table 'trades'; known: trade"):
        Reader(root).read("trades")


def test_two_writers_and_a_reader_work_at_once(root):
    with Writer(root) as one, Writer(root) as two:
        one.append([interest(0, 1.0)])
        two.append([interest(1, 2.0)])
        assert kept(root) == [1.0, 2.0]
        one.seal()
        assert kept(root) == [1.0, 2.0]
        two.append([interest(2, 3.0)])
    assert kept(root) == [1.0, 2.0, 3.0]


def test_a_store_of_a_newer_version_is_refused(root):
    Writer(root).seal()
    (root / "plimsoll.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(StoreTooNew, match="format 99.*upgrade Plimsoll"):
        Reader(root)
    with pytest.raises(StoreTooNew):
        Writer(root)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(StoreUnusable, match="--store"):
        Writer(blocked / "store")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(StoreUnusable, match="Permission denied"):
        Writer(tmp_path / "store")
    tmp_path.chmod(0o700)


def test_the_catalogue_is_rebuilt_from_the_files(root):
    with Writer(root) as writer:
        writer.append([interest(hour, 1.0) for hour in range(2_000)])
        writer.seal()
        writer.seal()
        before = writer.catalogue.sealed()
    for path in root.glob("catalogue.sqlite*"):
        path.unlink()
    after = Writer(root).catalogue.sealed()
    assert [(s.series, s.month, s.rows, s.sha256) for s in after] == [
        (s.series, s.month, s.rows, s.sha256) for s in before
    ]
    (root / "catalogue.sqlite").write_bytes(b"no database" * 100)
    assert len(Writer(root).catalogue.sealed()) == len(before)


def test_instruments_and_dated_brackets_are_remembered(root):
    catalogue = Writer(root).catalogue
    instrument = Instrument(exchange="okx", symbol="BTC/USD:BTC", contract_size=Decimal(100))
    catalogue.remember([instrument])
    assert catalogue.instrument("okx", "BTC/USD:BTC").symbol == "BTC/USD:BTC"
    old, new = datetime(2024, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC)
    for since, rate in ((old, 0.004), (new, 0.005)):
        table = Brackets.build("okx", "BTC/USD:BTC", since, [(50_000.0, rate, 125.0)])
        catalogue.remember([table])
    found = catalogue.brackets("okx", "BTC/USD:BTC", datetime(2024, 6, 1, tzinfo=UTC))
    assert found.brackets[0].maintenance_rate == 0.004
    assert catalogue.brackets("okx", "BTC/USD:BTC", datetime(2023, 1, 1, tzinfo=UTC)) is None
    early = datetime(2023, 1, 1, tzinfo=UTC)
    assert [one.since for one in catalogue.changes("okx", "BTC/USD:BTC", early, new)] == [old, new]
    assert [one.since for one in catalogue.changes("okx", "BTC/USD:BTC", old, new)] == [new]
    assert catalogue.changes("okx", "BTC/USD:BTC", new, new) == []
    lines = (root / "instruments.jsonl").read_bytes()
    later = datetime(2026, 1, 1, tzinfo=UTC)
    again = Brackets.build("okx", "BTC/USD:BTC", later, [(50_000.0, 0.005, 125.0)])
    catalogue.remember([instrument, again])  # nothing new
    assert (root / "instruments.jsonl").read_bytes() == lines
    tiers = [(50_000.0, 0.005, 125.0), (math.inf, 0.1, 5.0)]
    endless = Brackets.build("okx", "BTC/USD:BTC", later, tiers)
    catalogue.remember([endless])
    assert catalogue.brackets("okx", "BTC/USD:BTC", later) == endless


def test_the_catalogue_is_an_sqlite_file_in_wal_mode(root):
    Writer(root).seal()
    with sqlite3.connect(root / "catalogue.sqlite") as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_busy_catalogue_is_not_thrown_away(root, monkeypatch):
    instrument = Instrument(exchange="x", symbol="BTC/USD:BTC", contract_size=Decimal(100))
    with Writer(root) as writer:
        writer.catalogue.remember([instrument])
    before = (root / "catalogue.sqlite").stat().st_ino

    def busy(_catalogue):
        raise sqlite3.OperationalError("database is locked")

    with monkeypatch.context() as patched:
        patched.setattr(Catalogue, "_is_whole", busy)
        with pytest.raises(sqlite3.OperationalError):
            Catalogue(writer.layout)
    assert (root / "catalogue.sqlite").stat().st_ino == before
    for path in root.glob("catalogue.sqlite*"):
        path.unlink()
    assert Catalogue(writer.layout).instrument("x", "BTC/USD:BTC") == instrument


def test_a_stage_half_removed_by_a_crash_is_nobodys(root, tmp_path, monkeypatch):
    path = tmp_path / "open_interest.csv"
    path.write_text("time,exchange,symbol,amount\n2026-01-01T00:00:00Z,x,BTC/USDT:USDT,1\n")

    def killed(stage):
        gone = stage.with_name(f".{stage.name}.sealed")
        stage.rename(gone)
        (gone / "source.json").unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("plimsoll.store.writer.discard", killed)
        with pytest.raises(KeyboardInterrupt):
            import_files(Writer(root), [path])
    Writer(root).seal()
    assert kept(root) == [1.0]
    assert not list((root / "staged").iterdir())


def test_a_sealed_stage_may_be_swept_by_another_writer_meanwhile(root, monkeypatch):
    writer = Writer(root)
    writer.append([interest(0, 1.0)])
    remove = shutil.rmtree

    def twice(folder, **options):
        remove(folder, ignore_errors=True)
        remove(folder, **options)

    monkeypatch.setattr(shutil, "rmtree", twice)
    writer.seal()
    assert kept(root) == [1.0]


def test_what_comes_later_ranks_later_though_the_clock_was_set_back(root, monkeypatch):
    writer = Writer(root)
    writer.append([interest(0, 1.0)])
    writer.settle()
    monkeypatch.setattr("plimsoll.store.writer.datetime", SetBack)
    writer.append([interest(0, 2.0)])
    writer.settle()
    assert kept(root) == [2.0]
    writer.seal()
    assert kept(root) == [2.0]


class SetBack(datetime):
    """A clock that was set back by an hour."""

    @classmethod
    def now(cls, tz=None):
        return datetime.now(tz) - timedelta(hours=1)


def test_a_damaged_file_does_not_grow(root):
    with Writer(root) as writer:
        writer.append([interest(0, 1.0)])
    path = next((root / "tables").rglob("*.parquet"))
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(StoreDamaged, match="--again"), Writer(root) as writer:
        writer.append([interest(1, 2.0)])
    path.unlink()
    Writer(root).seal()
    assert kept(root) == [2.0]


@given(
    st.text("ABCxyz019/:-._~@% ", min_size=1, max_size=20),
    st.text("abc-_.", min_size=1, max_size=8),
)
def test_every_series_has_a_place_of_its_own_and_is_told_by_it(symbol, exchange):
    series = Series("trade", exchange, symbol)
    assert Series.of(series.folder) == series
    assert series.folder.count("/") == 2
    assert not {".", ".."} & set(series.folder.split("/"))


def test_months_cover_a_half_open_range():
    since = datetime(2025, 11, 30, tzinfo=UTC)
    assert list(months(since, datetime(2026, 2, 1, tzinfo=UTC))) == [
        "2025-11",
        "2025-12",
        "2026-01",
    ]


trades = st.lists(
    st.builds(
        Trade,
        exchange=st.just("x"),
        symbol=st.just("BTC/USDT"),
        time=st.integers(0, 5).map(lambda second: START + second * SECOND),
        id=st.integers(0, 4),
        side=st.sampled_from(["buy", "sell"]),
        price=st.sampled_from([1.0, 2.0]),
        amount=st.sampled_from([1.0, 2.0]),
    ),
    min_size=1,
    max_size=30,
)


@given(st.lists(trades, min_size=1, max_size=4))
def test_merging_keeps_the_first_of_each_fact_like_a_dictionary(batches):
    known: dict[tuple[int, int], Trade] = {}
    versions = set()
    for trade in (trade for batch in batches for trade in batch):
        known.setdefault((trade.time, trade.id), trade)
        versions.add(trade)
    contradictions = len(versions) - len(known)
    inputs = [(rank, rows(batch)["trade"]) for rank, batch in enumerate(batches, 1)]
    merged = merge.Merged()
    table = TABLES["trade"]
    frames = list(merge.combine(table, inputs, merged))
    whole = pl.concat(frames)
    assert merge.strictly_rising(table, whole)
    expected = [known[key] for key in sorted(known)]
    assert whole["price"].to_list() == [trade.price for trade in expected]
    assert whole["side"].to_list() == [trade.side for trade in expected]
    assert merged.revisions.height == contradictions
    counted = sum(merged.added.values()) + sum(merged.duplicates.values()) + contradictions
    assert merged.rows == len(known)
    assert counted == sum(map(len, batches))


def test_large_merges_are_cut_into_slices_without_changing_anything(root, monkeypatch):
    with Writer(root) as writer:
        writer.append([interest(hour, float(hour)) for hour in range(0, 700, 2)])
    layout = Layout(root)
    (series,) = layout.series()
    path = layout.sealed(series, "2026-01")
    incoming = rows([interest(hour, float(hour)) for hour in range(700)])["open_interest"]
    monkeypatch.setattr(merge, "_SLICE", 100)
    merged = merge.Merged()
    whole = pl.concat(merge.combine(TABLES["open_interest"], [(0, path), (1, incoming)], merged))
    assert whole["amount"].to_list() == [float(hour) for hour in range(700)]
    assert merged.added == {0: 350, 1: 350}
    assert merged.duplicates == {1: 350}


def test_a_lock_whose_stage_never_came_is_swept_and_a_held_one_is_not(root):
    with Writer(root):
        pass
    dead = root / "staged" / ".dead.lock"
    dead.touch()
    with Writer(root) as one, one.stage():
        held = [path.name for path in (root / "staged").iterdir()]
        with Writer(root):
            assert not dead.exists()
            assert sorted(path.name for path in (root / "staged").iterdir()) == sorted(
                name for name in held if name != dead.name
            )
