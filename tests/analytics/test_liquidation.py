"""Liquidation prices against the exchanges' own worked examples, and against root finding."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import brentq

from plimsoll.analytics.liquidation import (
    bankruptcy_price,
    distance_factor,
    liquidation_price,
    maintenance_margin,
)
from plimsoll.market.instrument import Bracket, Brackets, cumulative

NAN = float("nan")
SINCE = datetime(2024, 10, 1, tzinfo=UTC)

# Binance BTCUSDT, October 2024, as kept by freqtrade: cap, rate, highest leverage, and the
# amount deducted that Binance publishes beside them.
MILLION = 1_000_000
BTCUSDT = [
    (50_000, 0.004, 125, 0),
    (600_000, 0.005, 100, 50),
    (3 * MILLION, 0.0065, 75, 950),
    (12 * MILLION, 0.01, 50, 11_450),
    (70 * MILLION, 0.02, 25, 131_450),
    (100 * MILLION, 0.025, 20, 481_450),
    (230 * MILLION, 0.05, 10, 2_981_450),
    (480 * MILLION, 0.10, 5, 14_481_450),
    (600 * MILLION, 0.125, 4, 26_481_450),
    (800 * MILLION, 0.15, 3, 41_481_450),
    (1_200 * MILLION, 0.25, 2, 121_481_450),
    (1_800 * MILLION, 0.50, 1, 421_481_450),
]
BRACKETS = Brackets.build(
    "binance", "BTC/USDT:USDT", SINCE, [(cap, rate, lev) for cap, rate, lev, _ in BTCUSDT]
)


def single(rate, cum):
    bracket = Bracket(floor=0, cap=float("inf"), maintenance_rate=rate, max_leverage=1, cum=cum)
    return Brackets(exchange="binance", symbol="BTC/USDT:USDT", since=SINCE, brackets=(bracket,))


def stepped(*tiers):
    floors = [0.0, *(cap for cap, _ in tiers[:-1])]
    return Brackets(
        exchange="okx",
        symbol="BTC/USDT:USDT",
        since=SINCE,
        brackets=tuple(
            Bracket(floor=floor, cap=cap, maintenance_rate=rate, max_leverage=1 / rate, cum=0)
            for floor, (cap, rate) in zip(floors, tiers, strict=True)
        ),
    )


# Binance Support, "How to Calculate Liquidation Price of USD-M Futures Contracts": one wallet of
# 1,535,443.01 USDT and two longs.
WALLET = 1_535_443.01
BTC = {"entry": 32_481.98, "amount": 109.488, "maintenance": 0.025, "cum": 16_300}
ETH = {"entry": 1_456.84, "amount": 3_683.979, "maintenance": 0.10, "cum": 135_365}
BTC_MARK, ETH_MARK = 31_967.27, 1_335.18


@pytest.mark.parametrize(("position", "published"), [(ETH, 1114.78), (BTC, 18_778.73)])
def test_binance_worked_example_isolated(position, published):
    price = liquidation_price(margin=WALLET, side="long", **position)
    assert price == pytest.approx(published, abs=0.005)


@pytest.mark.parametrize(
    ("position", "other", "other_mark", "published"),
    [(ETH, BTC, BTC_MARK, 1153.26), (BTC, ETH, ETH_MARK, 26_316.89)],
)
def test_binance_worked_example_crossed(position, other, other_mark, published):
    price = liquidation_price(
        margin=WALLET,
        side="long",
        other_maintenance=other["amount"] * other_mark * other["maintenance"] - other["cum"],
        other_pnl=other["amount"] * (other_mark - other["entry"]),
        **position,
    )
    assert price == pytest.approx(published, abs=0.005)


@pytest.mark.parametrize(
    ("position", "mark", "published"),
    [(BTC, BTC_MARK, 71_200.81144), (ETH, ETH_MARK, 356_512.508)],
)
def test_binance_worked_example_maintenance(position, mark, published):
    margin = maintenance_margin(
        position["amount"] * mark, single(position["maintenance"], position["cum"])
    )
    assert margin == pytest.approx(published, abs=0.0005)


def test_binance_coin_margined_deduction_of_level_five():
    # The COIN-M page: 50 BTC x (5% - 2.5%) + 0.56 BTC = 1.81 BTC. The floors below level five
    # are chosen to give its 0.56.
    assert cumulative([0, 28, 50], [0.005, 0.025, 0.05])[1:] == pytest.approx([0.56, 1.81])


def test_binance_deductions_are_rebuilt_exactly_from_floors_and_rates():
    assert [bracket.cum for bracket in BRACKETS.brackets] == [cum for *_, cum in BTCUSDT]


def test_gate_and_okx_ask_for_the_closing_fee():
    # freqtrade tests/exchange/test_exchange.py, dry-run liquidation price: 1 @ 10, five-fold.
    terms = {"entry": 10, "amount": 1, "margin": 2, "maintenance": 0.01, "fee": 0.0006}
    assert liquidation_price(**terms, side="long") == pytest.approx(8.085708510208207, rel=1e-12)
    assert liquidation_price(**terms, side="short") == pytest.approx(11.87413417771621, rel=1e-12)


def test_binance_with_an_amount_deducted():
    # freqtrade tests/exchange/test_exchange.py, the same position on Binance.
    terms = {"entry": 10, "amount": 1, "margin": 2, "maintenance": 0.01, "cum": 0.01}
    assert liquidation_price(**terms, side="long") == pytest.approx(8.070707070707071, rel=1e-12)
    assert liquidation_price(**terms, side="short") == pytest.approx(11.89108910891089, rel=1e-12)


def test_bybit_before_2026_froze_the_maintenance_at_entry():
    # Bybit Help Center, isolated margin: 10x @ 10, m = 1%. Maintenance that does not move with
    # the price is a rate of zero and a negative deduction.
    terms = {"entry": 10, "amount": 1, "margin": 1, "maintenance": 0, "cum": -0.1}
    assert liquidation_price(**terms, side="long") == pytest.approx(9.1, rel=1e-12)
    assert liquidation_price(**terms, side="short") == pytest.approx(10.9, rel=1e-12)


def test_bybit_inverse_short_by_both_published_formulas():
    # Bybit Help Center, inverse isolated: short 60,000 USD @ 50,000, 10x, m = 0.5%.
    # Since 2026: 60,000 (1 - m) / (60,000/50,000 - margin); before: margin less m at entry.
    value = 60_000 / 50_000
    terms = {"entry": 50_000, "amount": 60_000, "margin": value / 10, "side": "short"}
    new = liquidation_price(**terms, maintenance=0.005, settlement="inverse")
    old = liquidation_price(**terms, maintenance=0, cum=-0.005 * value, settlement="inverse")
    assert new == pytest.approx(55_277.7778, abs=5e-5)
    assert old == pytest.approx(55_248.6188, abs=5e-5)


@pytest.mark.parametrize(("side", "expected"), [("long", 96_202.531646), ("short", 103_703.703704)])
def test_hyperliquid_formula_says_the_same(side, expected):
    # Hyperliquid docs, "Liquidations": P - d margin_available / size / (1 - l d), l = 1/80 at a
    # highest leverage of 40; 1 BTC @ 100,000, 20x.
    d, entry, margin, rate = {"long": 1, "short": -1}[side], 100_000, 5_000, 1 / 80
    theirs = entry - d * (margin - rate * entry) / 1 / (1 - rate * d)
    ours = liquidation_price(entry, 1, margin, rate, side=side)
    assert theirs == pytest.approx(expected, abs=5e-7)
    assert ours == pytest.approx(expected, abs=5e-7)


@pytest.mark.parametrize(("side", "expected"), [("long", 57_325.113236), ("short", 62_640.337804)])
def test_brackets_supply_rate_and_deduction(side, expected):
    # 20 BTC @ 60,000, 20x, is worth 1.2 million: rate 0.65%, deduction 950. By hand for the
    # long: (20 * 60,000 - 60,000 - 950) / (20 * 0.9935).
    price = liquidation_price(60_000, 20, 60_000, BRACKETS, side=side)
    assert price == pytest.approx(expected, abs=5e-7)


def test_the_bracket_at_liquidation_counts_and_not_that_at_entry():
    # A short of 10 @ 5,000 enters at 50,000, the first bracket's cap, and is liquidated above
    # it: (W + c + qE) / (q (1 + m)) with m = 0.5%, c = 50.
    price = liquidation_price(4_990, 10, 4_990, BRACKETS, side="short")
    assert price == pytest.approx((4_990 + 50 + 49_900) / (10 * 1.005), rel=1e-12)


def test_a_position_that_would_outgrow_the_last_bracket_has_no_price():
    price = liquidation_price(60_000, 30_000, 60_000 * 30_000, BRACKETS, side="short")
    assert np.isnan(price)


def test_a_rate_on_the_whole_position_liquidates_a_short_at_the_step():
    # Up to 1,000 at 1%, above at 10%, nothing deducted: 10 @ 95 with 100 behind it. At the first
    # rate the price would be 1,050 / 10.1 = 103.96, beyond the step at 100; at the second
    # 1,050 / 11 = 95.45, before it. Equity at the step is 50, between 10 and 100.
    price = liquidation_price(95, 10, 100, stepped((1_000, 0.01), (9_000, 0.10)), side="short")
    assert price == pytest.approx(100, rel=1e-12)


def test_a_rate_on_the_whole_position_can_liquidate_a_long_twice_and_the_first_counts():
    # 10 @ 120 with 330 behind it, falling: at 10% 870 / 9 = 96.67 is below the step at 100, at 1%
    # 870 / 9.9 = 87.88 holds. With 250 behind it 950 / 9 = 105.56 comes first, although
    # 950 / 9.9 = 95.96 would hold as well.
    brackets = stepped((1_000, 0.01), (9_000, 0.10))
    prices = liquidation_price(120, 10, [330, 250], brackets, side="long")
    assert prices == pytest.approx([870 / 9.9, 950 / 9], rel=1e-12)


@pytest.mark.parametrize(
    ("settlement", "side", "leverage", "expected"),
    [
        ("linear", "long", 10, 0.9),
        ("linear", "short", 10, 1.1),
        ("inverse", "long", 10, 10 / 11),
        ("inverse", "short", 10, 10 / 9),
        ("inverse", "long", 1, 0.5),
        ("linear", "short", 1, 2.0),
        ("linear", "long", 1, NAN),
        ("inverse", "short", 1, NAN),
        ("inverse", "short", 0.5, NAN),
    ],
)
def test_bankruptcy_is_the_loss_of_all_margin(settlement, side, leverage, expected):
    # Closed forms: linear E (1 - d/L); inverse long E L/(L+1), short E L/(L-1).
    price = bankruptcy_price(50_000, leverage, side=side, settlement=settlement)
    assert price == pytest.approx(50_000 * expected, rel=1e-12, nan_ok=True)


@pytest.mark.parametrize(
    ("settlement", "side", "expected"),
    [
        ("linear", "long", (1 - 1 / 20) / (1 - 0.0056)),
        ("linear", "short", (1 + 1 / 20) / (1 + 0.0056)),
        ("inverse", "long", (1 + 0.0056) / (1 + 1 / 20)),
        ("inverse", "short", (1 - 0.0056) / (1 - 1 / 20)),
    ],
)
def test_distance_has_its_closed_form(settlement, side, expected):
    factor = distance_factor(20, 0.005, side=side, settlement=settlement, fee=0.0006)
    assert factor == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("settlement", ["linear", "inverse"])
@pytest.mark.parametrize("side", ["long", "short"])
def test_a_leverage_that_its_maintenance_forbids_has_no_distance(settlement, side):
    factors = distance_factor([99, 100, 101], 0.01, side=side, settlement=settlement)
    assert np.isnan(factors).tolist() == [False, True, True]


def test_positions_that_cannot_be_liquidated_are_null():
    # A long with more margin than it can lose, a short of dollars backed by as many dollars'
    # worth of coin, a position without margin, an unknown one.
    assert np.isnan(liquidation_price(100, 1, 101, 0.01, side="long"))
    assert np.isnan(liquidation_price(100, 1_000, 10, 0.01, side="short", settlement="inverse"))
    assert np.isnan(liquidation_price(100, 1, [0, -5, NAN], 0.01, side="short")).all()


def test_arrays_are_broadcast():
    prices = liquidation_price([[100], [200]], 1, [10, 20, 30], 0.0, side="long")
    assert prices.tolist() == [[90, 80, 70], [190, 180, 170]]


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="entry must be positive; got 0"):
        liquidation_price([100, 0], 1, 10, 0.01, side="long")
    with pytest.raises(ValueError, match="amount must be positive; got -1"):
        liquidation_price(100, -1, 10, 0.01, side="long")
    with pytest.raises(ValueError, match="fractions of notional"):
        liquidation_price(100, 1, 10, 1.0, side="long")
    with pytest.raises(ValueError, match="fractions of notional"):
        distance_factor(10, 0.01, side="long", fee=-0.1)
    with pytest.raises(ValueError, match="leverage must be positive"):
        bankruptcy_price(100, 0, side="long")
    with pytest.raises(ValueError, match="brackets, which bring their own"):
        liquidation_price(100, 1, 10, BRACKETS, side="long", cum=50)


def equity(price, entry, amount, margin, side, settlement):
    d = 1 if side == "long" else -1
    if settlement == "linear":
        return margin + d * amount * (price - entry)
    return margin + d * amount * (1 / entry - 1 / price)


def notional_at(price, amount, settlement):
    return amount * price if settlement == "linear" else amount / price


sides = st.sampled_from(["long", "short"])
settlements = st.sampled_from(["linear", "inverse"])
entries = st.floats(1e-3, 1e6)
notionals = st.floats(10, 1e9)
leverages = st.floats(1.01, 125)


@given(entries, notionals, leverages, sides, settlements)
def test_the_price_is_the_root_of_equity_less_maintenance(entry, value, leverage, side, settlement):
    # `value` is the notional in the brackets' own unit: quote (linear) or base (inverse).
    amount = value / entry if settlement == "linear" else value * entry
    margin = value / leverage
    assume(margin > maintenance_margin(value, BRACKETS))

    def excess(price):
        held = equity(price, entry, amount, margin, side, settlement)
        return held - maintenance_margin(notional_at(price, amount, settlement), BRACKETS)

    far = entry * (1e-6 if side == "long" else 1e6)
    last = BRACKETS.brackets[-1].cap * (1 - 1e-9)
    if side == "short" and settlement == "linear":
        far = min(far, last / amount)
    if side == "long" and settlement == "inverse":
        far = max(far, amount / last)
    price = liquidation_price(entry, amount, margin, BRACKETS, side=side, settlement=settlement)
    if excess(far) > 0:
        assert np.isnan(price) or not min(entry, far) <= price <= max(entry, far)
        return
    root = brentq(excess, *sorted((entry, far)), xtol=1e-15 * entry, rtol=1e-14, maxiter=500)
    assert price == pytest.approx(root, rel=1e-7)


@given(entries, leverages, st.floats(0, 0.2), st.floats(0, 0.01), sides, settlements)
def test_longs_are_liquidated_below_entry_and_shorts_above(
    entry, leverage, rate, fee, side, settlement
):
    assume(1 / leverage > (rate + fee) * (1 + 1e-9))
    factor = distance_factor(leverage, rate, side=side, settlement=settlement, fee=fee)
    assert factor < 1 if side == "long" else factor > 1
    # Liquidation comes before bankruptcy.
    bankrupt = bankruptcy_price(entry, leverage, side=side, settlement=settlement) / entry
    tolerance = 1 + 1e-12
    assert bankrupt <= factor * tolerance if side == "long" else bankrupt * tolerance >= factor


@given(entries, leverages, st.floats(0, 0.2), sides, settlements, st.floats(1e-3, 1e3))
def test_prices_scale_with_the_unit_of_price(entry, leverage, rate, side, settlement, scale):
    def price(entry):
        margin = entry / leverage if settlement == "linear" else 1 / (entry * leverage)
        return liquidation_price(entry, 1, margin, rate, side=side, settlement=settlement)

    assert price(entry * scale) == pytest.approx(price(entry) * scale, rel=1e-9, nan_ok=True)


@given(entries, leverages, st.floats(0, 0.2), sides, settlements)
def test_the_distance_is_the_price_over_the_entry(entry, leverage, rate, side, settlement):
    assume(1 / leverage > rate)
    margin = entry / leverage if settlement == "linear" else 1 / (entry * leverage)
    price = liquidation_price(entry, 1, margin, rate, side=side, settlement=settlement)
    factor = distance_factor(leverage, rate, side=side, settlement=settlement)
    assert price / entry == pytest.approx(factor, rel=1e-9)


@given(st.sampled_from(BRACKETS.brackets[:-1]))
def test_maintenance_is_continuous_where_brackets_meet(bracket):
    below, at = maintenance_margin([bracket.cap * (1 - 1e-12), bracket.cap], BRACKETS)
    assert below == pytest.approx(at, rel=1e-9)


@given(
    st.lists(st.tuples(st.floats(1, 1e6), st.floats(1e-4, 0.05)), min_size=1, max_size=8),
    st.floats(0, 0.999),
)
def test_rebuilt_deductions_make_maintenance_the_sum_over_slices(steps, share):
    # The marginal definition: each slice of the notional pays its own bracket's rate.
    caps = np.cumsum([width for width, _ in steps])
    rates = np.cumsum([rise for _, rise in steps])
    tiers = [(float(c), float(r), 1.0) for c, r in zip(caps, rates, strict=True)]
    brackets = Brackets.build("test", "BTC/USDT:USDT", SINCE, tiers)
    notional = share * caps[-1]
    floors = np.concatenate(([0], caps[:-1]))
    slices = np.clip(notional - floors, 0, caps - floors)
    assert maintenance_margin(notional, brackets) == pytest.approx(
        float(slices @ rates), rel=1e-9, abs=1e-6
    )
