"""Every message the tests know, changed at random: read rightly, or not at all.

The corpus is what the tests of each exchange hand to its decoder: they are run once, and overheard.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import json
import math
from functools import cache
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.mutation import flipped, mutated
from plimsoll.errors import UnreadableMessage
from plimsoll.exchanges import EXCHANGES, exchange
from plimsoll.exchanges.reading import (
    UNREADABLE,
    Acknowledged,
    Decoder,
    Listing,
    Refused,
    Reply,
    Request,
    Resync,
    Synced,
)
from plimsoll.market.events import Event
from plimsoll.market.instrument import Brackets
from plimsoll.market.schema import TABLES, rows

SAID = (Event, Listing, Brackets, Acknowledged, Refused, Reply, Resync, Synced)


class Heard(NamedTuple):
    """A message that a decoder could read."""

    listings: tuple[Listing, ...]
    message: Any
    received: int
    request: Request | None


@cache
def corpus(name: str) -> list[Heard]:
    """Return what the tests of an exchange hand to its decoder, and it can read."""
    heard: dict[str, Heard] = {}
    read = Decoder.read

    def overheard(
        self: Decoder, payload: bytes, received: int, request: Request | None = None
    ) -> list[Any]:
        known = tuple(self.listings.values())
        items = read(self, payload, received, request)
        if self.exchange == name and payload[:1] in {b"{", b"["}:
            one = Heard(known, json.loads(payload), received, request)
            heard.setdefault(f"{payload!r} {request}", one)
        return items

    module = importlib.import_module(f"exchanges.test_{name}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Decoder, "read", overheard)
        for title, test in vars(module).items():
            is_plain = title.startswith("test_") and not inspect.signature(test).parameters
            if is_plain and not hasattr(test, "hypothesis"):
                test()
    return list(heard.values())


def wrong(item: Any) -> list[str]:
    """Return which numbers of a listing, or of brackets, cannot be."""
    if isinstance(item, Listing):
        made = item.instrument
        sizes = {"size": made.contract_size, "tick": made.tick, "hours": item.interval_hours}
        found = [
            name for name, one in sizes.items() if one is not None and not 0 < float(one) < math.inf
        ]
        return found if 0 <= (item.turnover_usd or 0) < math.inf else [*found, "turnover"]
    if isinstance(item, Brackets):
        return [
            str(one)
            for one in item.brackets
            if not (0 <= one.floor < one.cap and 0 <= one.maintenance_rate <= 1)
            or not (0 < one.max_leverage < math.inf and math.isfinite(one.cum))
        ]
    return []


@pytest.mark.parametrize("name", EXCHANGES)
def test_there_is_something_to_change(name: str) -> None:
    known = corpus(name)
    assert len(known) >= 4
    streams = any(offer.stream for offer in exchange(name).offers.values())
    assert any(one.request is None for one in known) == streams
    assert any(one.request is not None for one in known)


def _follows(name: str, payload: bytes, request: Request | None) -> None:
    """Hold that the page after an answer is another request, or none, or cannot be told."""
    if request is None:
        return
    with contextlib.suppress(*UNREADABLE):
        following = exchange(name).following(request, payload)
        assert following is None or following.url.startswith("https://"), payload


@pytest.mark.parametrize("name", EXCHANGES)
@settings(max_examples=300)
@given(draw=st.randoms(use_true_random=False))
def test_a_changed_message_is_read_rightly_or_not_at_all(name: str, draw: Any) -> None:
    one = draw.choice(corpus(name))
    payload = json.dumps(mutated(one.message, draw)).encode()
    if draw.random() < 0.2:
        payload = flipped(payload, draw)
    _follows(name, payload, one.request)
    try:
        items = exchange(name).decoder(one.listings).read(payload, one.received, one.request)
    except UnreadableMessage:
        return
    assert all(isinstance(item, SAID) for item in items), payload
    assert [wrong(item) for item in items if wrong(item)] == [], payload
    for kind, frame in rows(item for item in items if isinstance(item, Event)).items():
        broken = frame.select(TABLES[kind].violations().alias("broken"))["broken"]
        assert broken.drop_nulls().to_list() == [], payload


DEEP = [b"[" * 100_000 + b"]" * 100_000, b'{"data":' * 50_000 + b"1" + b"}" * 50_000]


@pytest.mark.parametrize("name", EXCHANGES)
@pytest.mark.parametrize("payload", DEEP, ids=["lists", "objects"])
def test_what_is_nested_without_end_is_unreadable(name: str, payload: bytes) -> None:
    made = exchange(name)
    known = {one.request.url: one.request for one in corpus(name) if one.request is not None}
    for request in (None, *known.values()):
        with pytest.raises(UnreadableMessage):
            made.decoder().read(payload, 1_790_000_000_000_000_000, request)
        _follows(name, payload, request)
    if made.ticket() is not None:
        with pytest.raises(UNREADABLE):
            made.entrance(payload)
