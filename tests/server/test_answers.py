"""Answers whose facts are more than plain values."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import plimsoll
from plimsoll.server.answers import of_options
from plimsoll.server.forms import JSON, encode

if TYPE_CHECKING:
    from pathlib import Path


def test_where_gamma_is_zero_is_told_as_a_price_or_a_reason(root: Path) -> None:
    session = plimsoll.open(root)
    session.simulate("calm", coins=("BTC",), days=4)
    state = session.options("BTC")
    facts = json.loads(encode(of_options(state), JSON))["facts"]
    for name, level in (("naive_zero", state.naive_zero), ("taker_zero", state.taker_zero)):
        assert facts[name] == {"price": level.price, "reason": level.reason}
    assert facts["by_expiry"]["max_pain"] == state.by_expiry["max_pain"].to_list()
