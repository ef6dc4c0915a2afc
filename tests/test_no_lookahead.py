"""Every question of a session, asked as of a moment, and asked of a store that knows no more."""

from __future__ import annotations

import dataclasses
import shutil
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import plimsoll
from plimsoll.errors import PlimsollError
from plimsoll.store.catalogue import Imported
from plimsoll.store.reader import Reader
from plimsoll.store.writer import Writer

DAYS = 9
PERPETUAL = "BTC/USDT:USDT"
QUESTIONS = {
    "open_interest": ("BTC",),
    "divided_interest": ("BTC", "margin"),
    "interest_candles": ("BTC", "4h"),
    "interest_growth": ("BTC",),
    "interest_milestones": ("BTC",),
    "turnover": ("BTC",),
    "consensus": ("BTC",),
    "quadrant": ("BTC",),
    "entries": ("BTC",),
    "positioning": ("BTC",),
    "long_short": ("BTC",),
    "flow": ("BTC",),
    "funding": ("BTC",),
    "weighted_funding": ("BTC",),
    "funding_persistence": ("BTC",),
    "funding_dispersion": ("BTC",),
    "basis": ("BTC",),
    "fair_value": ("BTC",),
    "carry": (PERPETUAL, "sim-a"),
    "arbitrage": ("BTC",),
    "options": ("BTC",),
    "option_history": ("BTC",),
    "position_coverage": (PERPETUAL, "sim-c"),
    "liquidations": ("BTC",),
    "bursts": ("BTC",),
    "macro": ("BTC",),
    "clusters": ("BTC",),
    "show": (PERPETUAL,),
    "overview": (),
}
SPANNED = ("turnover", "funding", "weighted_funding", "quadrant", "positioning", "long_short")
"""Of which `since` takes rows away, and changes none."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    plimsoll.open(folder).simulate("crash", coins=("BTC",), days=DAYS, seed=5)
    return folder


@pytest.fixture(scope="module")
def moment(whole):
    first = Reader(whole).read("candle")["time"].min()
    return first + timedelta(days=DAYS - 2, hours=13, minutes=7)


@pytest.fixture(scope="module")
def known(whole, moment, tmp_path_factory):
    """A store of what was known by then, and of nothing else."""
    folder = tmp_path_factory.mktemp("known")
    reader = Reader(whole)
    with Writer(folder) as writer, writer.stage() as stage:
        for kind in sorted({series.kind for series in reader.series()}):
            stage.write(kind, reader.read(kind, as_of=moment))
        stage.accept(
            Imported(
                key="known",
                sha256="",
                format="simulation",
                path="known",
                importer="test",
                imported_at=datetime.now(tz=UTC).isoformat(),
                verified=False,
                rows=0,
                rejected=0,
            )
        )
        writer.seal()
    shutil.copy(whole / "instruments.jsonl", folder / "instruments.jsonl")
    (folder / "catalogue.sqlite").unlink()
    with Writer(folder):  # makes it again of the rest
        return folder


def asked(folder, name, **span):
    """The frames of an answer, or the sentence that stands for it."""
    try:
        answer = getattr(plimsoll.open(folder), name)(*QUESTIONS[name], **span)
    except PlimsollError as refusal:
        return str(refusal)
    if isinstance(answer, pl.DataFrame):
        return {"": answer}
    if isinstance(answer, tuple) and not hasattr(answer, "_asdict"):
        return {str(at): frame for at, frame in enumerate(answer)}
    if dataclasses.is_dataclass(answer):
        parts = {part.name: getattr(answer, part.name) for part in dataclasses.fields(answer)}
    else:
        parts = answer._asdict() if hasattr(answer, "_asdict") else answer
    return {key: frame for key, frame in parts.items() if isinstance(frame, pl.DataFrame)}


@pytest.mark.parametrize("name", QUESTIONS)
def test_as_of_a_moment_nothing_is_known_of_what_came_after_it(whole, known, moment, name):
    told, alone = (asked(folder, name, as_of=moment) for folder in (whole, known))
    if isinstance(told, str):
        assert told == alone
        return
    assert told.keys() == alone.keys()
    for part, frame in told.items():
        assert_frame_equal(frame, alone[part], check_exact=True)
    assert name == "interest_milestones" or sum(map(len, told.values()))


@pytest.mark.parametrize("name", SPANNED)
def test_a_later_beginning_takes_rows_away_and_changes_none(whole, moment, name):
    since = moment - timedelta(days=2)
    for part, frame in asked(whole, name, as_of=moment, since=since).items():
        assert len(frame)
        all_ = asked(whole, name, as_of=moment)[part]
        assert_frame_equal(frame, all_.filter(pl.col("time") >= since), check_exact=True)
