"""The mechanisms: what must hold at every step of every market."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from plimsoll.analytics.liquidation import liquidation_price
from plimsoll.simulation import records
from plimsoll.simulation.ledger import trigger
from plimsoll.simulation.market import Market
from plimsoll.simulation.options import black
from plimsoll.simulation.publish import brackets
from plimsoll.simulation.records import DESK
from plimsoll.simulation.scenarios import COINS, SCENARIOS
from plimsoll.simulation.settlement import funding_rate

if TYPE_CHECKING:
    from plimsoll.simulation.market import Chunk

DAY = 1_440
START = datetime(2025, 1, 1, tzinfo=UTC)


def market(name: str, coin: str = "SOL", seed: int = 1, days: int = 10) -> Market:
    return Market(SCENARIOS[name], COINS[coin], seed=seed, start=START, days=days)


def check_identities(chunk: Chunk) -> None:
    """The identities of flows and money, for each contract and minute."""
    for bars in chunk.bars.T:
        held = bars["open_interest"]
        opened, closed = bars["long_opened"], bars["long_closed"]
        change = np.diff(held)
        assert (change == (opened - closed - bars["settled"])[1:]).all()
        shorts = bars["short_opened"] - bars["short_closed"] - bars["settled"]
        assert (change == shorts[1:]).all()
        assert (opened + bars["short_closed"] == bars["volume"]).all()
        assert (bars["short_opened"] + closed == bars["volume"]).all()
        assert (np.abs(change + bars["settled"][1:]) <= bars["volume"][1:]).all()
        assert (bars["longs"] + np.maximum(bars["maker"], 0) == held).all()
        assert (bars["shorts"] + np.maximum(-bars["maker"], 0) == held).all()
        assert (bars["taker_buy"] <= bars["volume"]).all()
        assert not bars["imbalance"].any()
        assert (bars["insurance"] >= 0).all()
        assert (bars["low"] <= np.minimum(bars["open"], bars["close"])).all()
        assert (bars["high"] >= np.maximum(bars["open"], bars["close"])).all()


def test_flows_and_money_balance_in_a_crash(crash: tuple[Market, Chunk]) -> None:
    made, chunk = crash
    check_identities(chunk)
    assert chunk.bars["settled"].any(), "a dated future should have expired"
    assert len(chunk.deleveraged) > 0
    assert len({int(kind) for kind in chunk.liquidations["owner"]}) > 1
    assert made.law.inverse.any()


@settings(max_examples=12)
@given(
    name=st.sampled_from(sorted(SCENARIOS)),
    seed=st.integers(0, 2**32),
    mood=st.floats(-2, 2),
    leverage=st.floats(0.2, 1),
    depth=st.floats(0.005, 0.05),
    insurance=st.floats(0, 0.01),
)
def test_flows_and_money_balance_in_any_market(
    name: str, seed: int, mood: float, leverage: float, depth: float, insurance: float
) -> None:
    scenario = SCENARIOS[name]
    mix = np.array([1 - leverage, *[leverage / 7] * 7])
    venues = tuple(
        replace(
            venue,
            depth=depth,
            insurance=insurance,
            mix=tuple(mix[: len(venue.mix)] / mix[: len(venue.mix)].sum()),
        )
        for venue in scenario.venues
    )
    crowd = replace(scenario.crowd, mood=mood, traders=300)
    wild = replace(scenario, venues=venues, crowd=crowd)
    made = Market(wild, COINS["ETH"], seed=seed, start=START, days=1)
    check_identities(made.advance(DAY))


def test_the_engine_liquidates_at_the_prices_that_analytics_computes(
    crash: tuple[Market, Chunk],
) -> None:
    made, chunk = crash
    compared = 0
    for c in range(len(made.contracts)):
        contract = made.contracts[c]
        rows = chunk.liquidations[chunk.liquidations["contract"] == c]
        inverse = contract.venue.settlement == "inverse"
        table = brackets(made, c, "BTC/USDT:USDT", START)
        for side, name in ((1, "long"), (-1, "short")):
            of = rows[rows["side"] == side]
            if not len(of):
                continue
            amount = of["held"] * contract.lot
            paid = of["cost"] / contract.unit
            expected = liquidation_price(
                amount / paid if inverse else paid / amount,
                amount,
                of["margin"] / contract.unit,
                table,
                side=name,
                settlement=contract.venue.settlement,
            )
            solvent = of["margin"] > 0  # a margin that funding used up has no such price
            np.testing.assert_allclose(of["trigger"][solvent], expected[solvent], rtol=1e-9)
            assert (side * (of["mark"] - of["trigger"]) <= 0).all()
            compared += int(solvent.sum())
    assert compared > 300


def test_triggers_are_those_that_exchanges_publish() -> None:
    # Binance's and Hyperliquid's worked examples (METHODS' check values are those of analytics).
    made = market("calm", days=1)
    law = made.law
    law.lot[0] = law.unit[0] = 1.0
    law.brackets[0] = 1
    law.bracket_floor[0, 0], law.bracket_cap[0, 0] = 0, 1e18
    law.maintenance[0, 0], law.cum[0, 0] = 0.0125, 0
    assert trigger(law, 0, 1, 1, 100_000, 5_000) == pytest.approx(96_202.531646)
    assert trigger(law, 0, -1, 1, 100_000, 5_000) == pytest.approx(103_703.703704)
    law.maintenance[0, 0] = 0.01
    assert trigger(law, 0, 1, 1_000, 10_000, 2_000) == pytest.approx(8.0808080808)
    law.inverse[0], law.sign[0], law.maintenance[0, 0] = 1, -1, 0.005
    law.unit[0] = 1e8  # a short of 60,000 dollars at 50,000, ten-fold
    assert trigger(law, 0, -1, 60_000, 120_000_000, 12_000_000) == pytest.approx(55_277.7778)


def test_a_mark_price_is_crossed_when_a_position_is_liquidated(crash: tuple[Market, Chunk]) -> None:
    _, chunk = crash
    rows = chunk.liquidations
    whole = rows["lots"] == rows["held"]
    first = rows["side"] * (rows["previous_mark"] - rows["trigger"]) > 0
    # Nearly all were still safe one step before; the others were cut back in parts, or the
    # trigger moved towards the price when funding was paid.
    assert first[whole].mean() > 0.8


@pytest.mark.parametrize(
    ("premium", "rate"),
    [(2e-4, 1e-4), (8e-4, 3e-4), (-3e-4, 1e-4), (-8e-4, -3e-4), (6e-4, 1e-4), (1.0, 0.02)],
)
def test_funding_is_the_published_formula(premium: float, rate: float) -> None:
    made = market("calm", days=1)
    made.state.premium_sum[0], made.state.premium_steps[0] = premium * 100, 100
    assert funding_rate(made.law, made.state, 0) == pytest.approx(rate)


def test_funding_of_an_hour_is_an_eighth() -> None:
    made = market("calm", days=1)  # Hyperliquid's example: 1 % of premium is 0.11875 % an hour
    made.state.premium_sum[2], made.state.premium_steps[2] = 0.01, 1
    assert funding_rate(made.law, made.state, 2) == pytest.approx(0.0011875)


def test_options_are_priced_as_black_did() -> None:
    # Hull, Options, Futures, and Other Derivatives, example 18.6 (European put on a future):
    # F = K = 20, four months, 25 %, undiscounted 1.1166 e^(0.09/3).
    price, delta, _, _, _ = black(20.0, 20.0, 4 / 12, 0.25, 1)
    assert price * 20 * np.exp(-0.09 * 4 / 12) == pytest.approx(1.1166, abs=1e-3)
    call, _, gamma, vega, _ = black(20.0, 18.0, 0.5, 0.4, 0)
    put = black(20.0, 18.0, 0.5, 0.4, 1)[0]
    assert call - put == pytest.approx(1 - 18 / 20)  # parity
    up = black(20.01, 18.0, 0.5, 0.4, 0)[0] * 20.01
    down = black(19.99, 18.0, 0.5, 0.4, 0)[0] * 19.99
    assert gamma == pytest.approx((up - 2 * call * 20 + down) / 1e-4, rel=1e-3)
    wider = black(20.0, 18.0, 0.5, 0.41, 0)[0]
    assert vega == pytest.approx((wider - call) * 20, rel=0.02)
    assert delta == pytest.approx(-0.4713, abs=1e-3)


def test_options_money_is_nobodys_gain_but_somebodys_loss(crash: tuple[Market, Chunk]) -> None:
    made, chunk = crash
    assert made.state.option_cash.sum() == 0
    assert made.state.option_cash.any()
    quotes = chunk.quotes
    assert (quotes["hedge"][quotes["is_put"] == 0] == 0).all()
    assert (quotes["overwriting"] <= 0).all()
    assert (quotes["hedge"] >= 0).all()
    assert quotes["open_interest"].sum() > 0
    # An option that is nearly worthless has nearly no delta, and a put's delta is negative.
    assert (np.sign(quotes["delta"]) * np.where(quotes["is_put"], -1, 1) >= 0).all()


def test_writers_of_options_hold_the_future_against_their_delta(
    crash: tuple[Market, Chunk],
) -> None:
    made, _ = crash
    last = int(made.law.accounts[0]) - 1
    assert made.state.owner[0, last] == records.DEALER
    held = made.state.side[0, last] * made.state.lots[0, last] * made.law.lot[0]
    assert held == pytest.approx(made.state.hedge_aim, rel=0.05)


def test_carry_desks_are_short_what_crowded_longs_pay_for() -> None:
    made = market("bull", days=10)
    made.advance(10 * DAY)
    of = made.state.owner[0] == DESK
    assert (made.state.side[0][of] * made.state.lots[0][of]).sum() < 0
    assert made.state.funding_apr[0] > 0.05


def test_leverage_drifts_with_the_mood_and_differs_by_exchange() -> None:
    def mean(name: str) -> np.ndarray:
        made = market(name, days=10)
        made.advance(10 * DAY)
        s = made.state
        open_ = (s.side != 0) & (s.owner < DESK)
        return np.array([s.leverage[c][open_[c]].mean() for c in range(3)])

    calm, crowded = mean("calm"), mean("crash")
    assert (crowded > calm).sum() >= 2
    assert len({round(float(value), 1) for value in calm}) == 3


def test_code_that_is_not_compiled_makes_the_same_market() -> None:
    program = """
import hashlib
from datetime import UTC, datetime, timedelta
from unittest.mock import patch
from plimsoll.simulation import market
from plimsoll.simulation.scenarios import COINS, SCENARIOS
with patch.object(market, "BURN_IN", timedelta(minutes=90)):
    made = market.Market(SCENARIOS["crash"], COINS["BTC"], seed=5, days=30,
                         start=datetime(2025, 1, 1, tzinfo=UTC))
chunk = made.advance(75)
print(hashlib.sha256(made.state.tobytes() + chunk.bars.tobytes()).hexdigest())
"""
    hashes = set()
    for plain in ("0", "1"):
        env = {**os.environ, "NUMBA_DISABLE_JIT": plain}
        done = subprocess.run(
            [sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True
        )
        hashes.add(done.stdout)
    assert len(hashes) == 1


def test_how_a_market_is_cut_into_calls_does_not_matter() -> None:
    whole, cut = market("crash", days=3), market("crash", days=3)
    bars = whole.advance(3_000).bars
    parts = np.concatenate([cut.advance(count).bars for count in (1, 59, 440, 2_500)])
    assert bars.tobytes() == parts.tobytes()
    assert whole.state.tobytes() == cut.state.tobytes()
