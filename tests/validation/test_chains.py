"""Options held against what their exchange states: made here, and really."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

import plimsoll
from plimsoll.analytics import black
from plimsoll.cli import main
from plimsoll.errors import NoSuchData
from plimsoll.market.events import OptionQuote
from plimsoll.measures.asking import asked
from plimsoll.store.writer import Writer
from plimsoll.validation import chains

START = datetime(2026, 3, 1, 8, tzinfo=UTC)
ALL = asked(None, None, None, None)
INDEX, FORWARD = 60_000.0, 60_600.0


def quoted(day: str, at: datetime, days: float, *, off: float = 0.0, lift: float = 0.0):
    """A chain of volatility 0.5 + 0.4 k², stated `off` by that, with calls `lift` too dear."""
    nanoseconds = int(at.timestamp()) * 10**9
    for strike in np.arange(40_000, 90_001, 2_500.0):
        iv = 0.5 + 0.4 * np.log(strike / FORWARD) ** 2
        for kind in "CP":
            option = (FORWARD, strike, days / 365, iv, kind == "C")
            mark = float(black.price(*option)) / FORWARD + (lift if kind == "C" else 0.0)
            yield OptionQuote(
                exchange="deribit",
                symbol=f"BTC/USD:BTC-{day}-{strike:g}-{kind}",
                time=nanoseconds,
                known_at=nanoseconds,
                underlying_price=FORWARD,
                index_price=INDEX,
                mark_price=mark,
                bid_price=0.99 * mark,
                ask_price=1.01 * mark,
                mark_iv=float(iv) + off,
                delta=float(black.delta(*option)),
            )


def stored(root, **planted):
    with Writer(root) as writer:
        for hours in (0, 6):
            at = START + timedelta(hours=hours)
            writer.append(quoted("260321", at, 20 - hours / 24, **planted))
            writer.append(quoted("260430", at, 60 - hours / 24, **planted))
    return root


def row(frame, tenor="all"):
    return frame.filter(tenor=tenor).row(0, named=True)


def test_an_exchange_that_computes_as_we_do_is_agreed_with(root):
    found = chains.study(stored(root), "BTC", ALL)
    assert found.facts["moments"] == 2
    assert found.facts["expiries"] == 4
    assert row(found.volatility)["p99"] < 1e-8
    assert row(found.volatility)["close"] == 1
    assert row(found.parity)["p99"] < 1e-12
    assert row(found.smiles)["median"] < 1e-3
    assert row(found.smiles)["arbitrage"] == 0
    assert found.volatility["tenor"].to_list() == ["7–30 d", "30–90 d", "all"]


def test_basis_is_of_the_forward_over_the_index_for_a_year(root):
    """One percent in 20 days is 18.25 a year, in 60 days 6.08; six hours later a little more."""
    found = chains.study(stored(root), "BTC", ALL).basis
    assert row(found, "7–30 d")["median"] == pytest.approx(
        (0.01 * 365 / 20 + 0.01 * 365 / 19.75) / 2, rel=1e-9
    )
    assert row(found, "30–90 d")["p5"] >= 0.01 * 365 / 60 - 1e-12


def test_a_volatility_stated_wrongly_is_told(root):
    found = row(chains.study(stored(root, off=0.02), "BTC", ALL).volatility)
    assert found["median"] == pytest.approx(0.02, abs=1e-8)
    assert found["close"] == 0


def test_calls_that_are_too_dear_are_told(root):
    found = row(chains.study(stored(root, lift=0.001), "BTC", ALL).parity)
    assert found["median"] == pytest.approx(0.001, abs=1e-9)


def test_the_index_stands_over_the_volatility_at_the_money(root):
    facts = chains.study(stored(root), "BTC", ALL).facts
    assert facts["index_none"] == 0
    assert 0 < facts["index_over_atm"] < 0.05


def test_a_store_without_options_has_no_study(root):
    with Writer(root):
        pass
    with pytest.raises(NoSuchData, match="no quote of an option"):
        chains.study(root, "BTC", ALL)


def test_the_command_gives_one_document(root, capfd):
    main(["score", "options", "BTC", "--store", str(stored(root)), "--json"])
    found = json.loads(capfd.readouterr().out)
    assert found["parameters"]["symbol"] == "BTC"
    assert found["facts"]["moments"] == 2
    assert found["smiles"]["tenor"][-1] == "all"


def test_the_command_prints_tables(root, capfd):
    main(["score", "options", "BTC", "--store", str(stored(root))])
    said = capfd.readouterr().out
    assert "Implied less stated volatility" in said
    assert "168 quotes of 4 expiries at 2 moments" in said


@pytest.fixture(scope="module")
def history(real, tmp_path_factory):
    opened = plimsoll.open(tmp_path_factory.mktemp("chains") / "store")
    opened.import_files([real / "option_chains_6h_deribit_btc.parquet"])
    return chains.study(opened.path, "BTC", ALL)


@pytest.mark.real
def test_the_real_history_is_whole(history):
    facts = history.facts
    assert (facts["moments"], facts["expiries"], facts["options"]) == (931, 11_051, 805_226)


@pytest.mark.real
def test_volatility_of_real_marks_is_the_exchange_s(history):
    assert (history.volatility["median"] <= 0.001).all()
    assert row(history.volatility)["options"] > 390_000


@pytest.mark.real
def test_real_calls_and_puts_keep_parity_within_a_basis_point_of_a_coin(history):
    """Marks are published to a millionth of a coin; the quotes of a chain are seconds apart."""
    assert (history.parity["median"] <= 1e-4).all()


@pytest.mark.real
def test_real_smiles_are_fitted_without_arbitrage(history):
    found = row(history.smiles)
    assert found["expiries"] + found["few"] > 10_900
    assert found["median"] < 0.0025
    assert found["arbitrage"] == 0


@pytest.mark.real
def test_the_real_index_stands_over_the_volatility_at_the_money(history):
    index = history.index.drop_nulls(["value", "atm"])
    assert index.height >= 925
    assert (index["value"] > index["atm"]).all()
    assert history.index.filter(pl.col("value").is_null())["why_none"].null_count() == 0
