"""The memory of a simulated market: what is given, what moves, and what is written down.

Each is one record of numpy, so that compiled code is handed a pointer, a market is copied by
copying bytes, and two are equal when their bytes are. Arrays are by contract, or by contract and
account; contracts not listed and accounts not used stand empty.
"""

from __future__ import annotations

import numpy as np

from plimsoll.simulation.parameters import BRACKETS, CONTRACTS, SLOTS, TIERS

__all__ = [
    "ADL",
    "BAR",
    "COIN_BAR",
    "CONTRARIAN",
    "DEALER",
    "DESK",
    "FUNDING",
    "LAWS",
    "LIQUIDATION",
    "MOOD",
    "OPTION_TRADE",
    "OWNERS",
    "POSITION",
    "QUOTE",
    "RATIO",
    "STATE",
    "STEPS",
    "TREND",
    "empty",
]

STEPS = 6
"""Steps in a minute."""
EXPIRIES, STRIKES = 6, 13
"""Options listed at a time: expiries, and strikes of each."""
SCHEDULE = 320
"""Expiries known ahead, of each dated future and option slot: twelve years of fortnights."""

MOOD, TREND, CONTRARIAN, DESK, DEALER = range(5)
OWNERS = ("mood", "trend", "contrarian", "carry_desk", "option_dealer", "market_maker")
"""Who an account belongs to, in the order of the constants; a market maker is no account."""

_PER_CONTRACT = {
    "inverse": "u1", "dated": "u1", "transparent": "f8",
    "sign": "i8", "lot": "f8", "unit": "f8", "tick": "f8", "fee": "f8",
    "aim": "f8", "depth": "f8", "volume": "f8", "follow": "f8", "cross": "f8", "partial": "f8",
    "funding_minutes": "i8", "interest": "f8", "clamp": "f8", "cap": "f8",
    "accounts": "i8", "desks": "i8", "ticket": "f8", "desk_ticket": "f8",
    "insurance": "i8", "dark_from": "i8", "dark_until": "i8",
}  # fmt: skip
_SCALARS = [
    "step_volatility",
    "drift",
    "fast",
    "slow",
    "fast_keep",
    "slow_keep",
    "jump_chance",
    "jump",
    "common",
    "shock_step",
    "shock_depth",
    "mood",
    "mood_after",
    "herding",
    "thrill",
    "visits",
    "appetite",
    "closing",
    "hurdle",
    "depth_of_all",
    "spot_follow",
    "spot_volume",
    "option_lot",
    "option_ticket",
    "hedge",
    "speculation",
    "overwriting",
    "iv_premium",
    "skew",
    "smile",
    "pressure",
    "option_unit",
]
LAWS = np.dtype(
    [(name, kind, (CONTRACTS,)) for name, kind in _PER_CONTRACT.items()]
    + [(name, "f8") for name in _SCALARS]
    + [(name, "i8") for name in ("contracts", "shock_from", "shock_until", "options")]
    + [(name, "f8", (CONTRACTS, TIERS)) for name in ("leverage", "mix")]
    + [("tiers", "i8", (CONTRACTS,)), ("brackets", "i8", (CONTRACTS,))]
    + [
        (name, "f8", (CONTRACTS, BRACKETS))
        for name in ("bracket_floor", "bracket_cap", "maintenance", "cum", "max_leverage")
    ]
    + [
        ("expiries", "i8", (CONTRACTS, SCHEDULE)),
        ("option_expiries", "i8", (EXPIRIES, SCHEDULE)),
    ],
    align=True,
)
"""What stays the same: a market's rules, in the units its compiled code works in."""

_MOVING = {
    "info": "f8", "premium": "f8", "forced_premium": "f8", "mark_premium": "f8",
    "forced_mark": "f8", "price": "f8", "mark": "f8", "high": "f8", "low": "f8",
    "mark_high": "f8", "mark_low": "f8", "thin": "f8", "variance": "f8",
    "premium_sum": "f8", "premium_steps": "i8", "funding_apr": "f8",
    "maker": "i8", "maker_cash": "i8", "insurance": "i8", "treasury": "i8",
    "deposits": "i8", "withdrawals": "i8", "long": "i8", "short": "i8",
    "volume": "i8", "taker_buy": "i8", "turned": "f8", "settled": "i8", "expiry": "i8",
    "ceiling": "f8", "floor": "f8",
}  # fmt: skip
_ACCOUNT = {
    "side": "i8", "lots": "i8", "cost": "i8", "margin": "i8", "owner": "i8",
    "leverage": "f8", "crossed": "u1", "trigger": "f8", "opened": "i8", "wealth": "f8",
    "forced": "f8", "entry_mark": "f8", "top": "u1", "shown": "i8",
}  # fmt: skip
STATE = np.dtype(
    [(name, kind, (CONTRACTS,)) for name, kind in _MOVING.items()]
    + [("flows", "i8", (CONTRACTS, 4))]
    + [(name, kind, (CONTRACTS, SLOTS)) for name, kind in _ACCOUNT.items()]
    + [
        (name, "f8")
        for name in (
            "value", "forced_value", "flow", "forced_flow", "fast", "slow", "volatility",
            "mood", "mean_fast", "mean_slow", "spot_info", "spot", "spot_high", "spot_low",
            "realized", "spot_turned",
        )
    ]
    + [
        ("option_listed", "i8", (EXPIRIES,)),
        ("option_expiry", "i8", (EXPIRIES,)),
        ("strike", "f8", (EXPIRIES, STRIKES)),
        ("held", "i8", (EXPIRIES, STRIKES, 2, 3)),
        ("shift", "f8", (EXPIRIES, STRIKES, 2)),
        ("traded", "i8", (24, EXPIRIES, STRIKES, 2)),
        ("option_cash", "i8", (4,)),
        ("hedge_aim", "f8"),
    ],
    align=True,
)  # fmt: skip
"""What moves.

Prices are logarithms but for `price`, `mark`, `trigger` and what has `high` or `low` in its name.
A contract's mid price is ``info + flow + premium``: what it knows of the value, what order flow
has displaced all prices by, and what it has displaced this one by. The parts that forced orders
alone have displaced are kept beside them.
"""

BAR = np.dtype(
    [(n, "f8") for n in ("open", "high", "low", "close")]
    + [(n, "f8") for n in ("mark_open", "mark_high", "mark_low", "mark_close")]
    + [(n, "f8") for n in ("thin", "premium", "forced", "quote_volume")]
    + [(n, "i8") for n in ("volume", "taker_buy", "open_interest", "expiry", "settled")]
    + [(n, "i8") for n in ("long_opened", "long_closed", "short_opened", "short_closed")]
    + [(n, "i8") for n in ("longs", "shorts", "maker", "insurance", "treasury")]
    + [(n, "i8") for n in ("deposits", "withdrawals", "imbalance")],
    align=True,
)
"""A minute of a contract; amounts in lots, money in whole units."""
COIN_BAR = np.dtype(
    [(n, "f8") for n in ("open", "high", "low", "close", "volume")]
    + [(n, "f8") for n in ("value", "flow", "forced", "mood", "volatility")],
    align=True,
)
"""A minute of the spot market, and of what nobody sees."""
LIQUIDATION = np.dtype(
    [(n, "i8") for n in ("minute", "step", "rank", "contract", "account", "side")]
    + [(n, "i8") for n in ("lots", "held", "cost", "margin", "owner", "opened")]
    + [(n, "f8") for n in ("filled", "bankruptcy", "mark", "previous_mark", "trigger", "leverage")]
    + [("cascade", "f8"), ("deleveraged", "i8"), ("crossed", "u1")],
    align=True,
)
ADL = np.dtype(
    [(n, "i8") for n in ("minute", "step", "rank", "contract", "account", "side", "lots", "owner")]
    + [("price", "f8"), ("score", "f8")],
    align=True,
)
FUNDING = np.dtype(
    [("minute", "i8"), ("contract", "i8"), ("rate", "f8"), ("premium", "f8"), ("settled", "u1")],
    align=True,
)
RATIO = np.dtype(
    [("minute", "i8"), ("contract", "i8")]
    + [(n, "i8") for n in ("long", "short", "top_long", "top_short")]
    + [(n, "i8") for n in ("top_long_lots", "top_short_lots")],
    align=True,
)
POSITION = np.dtype(
    [(n, "i8") for n in ("minute", "contract", "account", "side", "lots", "cost", "margin")]
    + [(n, "i8") for n in ("owner", "opened")]
    + [("leverage", "f8"), ("trigger", "f8"), ("mark", "f8"), ("crossed", "u1")],
    align=True,
)
QUOTE = np.dtype(
    [(n, "i8") for n in ("minute", "expiry", "is_put", "open_interest", "volume")]
    + [(n, "i8") for n in ("hedge", "speculation", "overwriting")]
    + [(n, "f8") for n in ("strike", "forward", "index", "mark", "iv")]
    + [(n, "f8") for n in ("delta", "gamma", "vega", "theta")],
    align=True,
)
OPTION_TRADE = np.dtype(
    [(n, "i8") for n in ("minute", "expiry", "is_put", "lots", "owner")]
    + [(n, "f8") for n in ("strike", "price")],
    align=True,
)
"""What a client bought or, negative, sold; `owner` by the constants of `options`."""


def empty(kind: np.dtype[np.void]) -> np.record:
    """Return one record of zeros."""
    made: np.record = np.zeros(1, dtype=kind).view(np.recarray)[0]
    return made
