"""What every exchange keeps to, whichever it is."""

from __future__ import annotations

import contextlib
import json
import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.books import STREAMS
from fakes.mutation import mutated
from fakes.venues import VENUES
from plimsoll.errors import UnreadableMessage, Unsupported
from plimsoll.exchanges import EXCHANGES, exchange
from plimsoll.exchanges.reading import (
    Acknowledged,
    Listing,
    Refused,
    Reply,
    Request,
    Resync,
    Synced,
)
from plimsoll.market import native
from plimsoll.market.events import EVENTS, Event
from plimsoll.market.instrument import Brackets, Instrument
from plimsoll.market.schema import TABLES, rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plimsoll.exchanges.base import Exchange

RECEIVED = 1_790_000_000_000_000_000
DAY = 86_400 * 1_000_000_000
SAID = (Event, Listing, Brackets, Acknowledged, Refused, Reply, Resync, Synced)


def listings(name: str) -> list[Listing]:
    """A listing in each of an exchange's markets, made from its own names."""
    found = []
    for symbol in ("BTC/USDT:USDT", "BTC/USD:BTC", "BTC/USD:USD", "BTC/USDC:USDC", "BTC/USDT"):
        try:
            text = native.native(name, symbol)
        except ValueError:
            continue
        found += [
            Listing(
                native=text,
                category=category,
                instrument=Instrument(exchange=name, symbol=symbol),
                interval_hours=8,
            )
            for category in categories(name)
        ]
    return found


def categories(name: str) -> list[str]:
    """Every category that an exchange's requests for listings name, and the usual ones."""
    asked = {value for one in exchange(name).instruments() for value in one.about.values()}
    usual = {"linear", "inverse", "usdt", "btc", "perpetual", "swap", "SWAP", "USDT-FUTURES"}
    return sorted(one for one in asked | usual if "option" not in one.lower())


def requests(made: Exchange, known: list[Listing]) -> Iterator[Request]:
    yield from made.instruments()
    for kind in made.offers:
        with contextlib.suppress(Unsupported):
            yield from (plan.request for plan in made.polls(kind, known))
        for one in known:
            try:
                yield made.history(kind, one, RECEIVED - DAY, RECEIVED)
            except (Unsupported, KeyError):
                continue


@pytest.mark.parametrize("name", EXCHANGES)
def test_offers_are_of_known_tables_and_reachable(name: str) -> None:
    made = exchange(name)
    assert made.name == name
    assert set(made.offers) <= set(EVENTS)
    assert made.offers
    for kind, offer in made.offers.items():
        had = offer.stream or offer.poll is not None or offer.history
        assert had or kind == "position", kind  # of wallets, which are found in trades
    assert made.instruments()


@pytest.mark.parametrize("name", EXCHANGES)
def test_every_request_counts_against_a_limit_and_goes_over_tls(name: str) -> None:
    made = exchange(name)
    names = {limit.name for limit in made.limits}
    for request in requests(made, listings(name)):
        assert request.limit in names
        assert request.url.startswith("https://")
        assert request.weight <= max(
            limit.amount for limit in made.limits if limit.name == request.limit
        )


@pytest.mark.parametrize("name", EXCHANGES)
def test_channels_go_over_tls_and_name_what_they_bring(name: str) -> None:
    made = exchange(name)
    for kind, offer in made.offers.items():
        if not offer.stream:
            continue
        channels = made.channels(kind, listings(name))
        for channel in channels:
            assert channel.url.startswith("wss://")
            assert kind in channel.kinds
        by_url: dict[str, list[Any]] = {}
        for channel in channels:
            by_url.setdefault(channel.url, []).append(channel)
        for group in by_url.values():
            for frame in made.subscribe(group[: made.most]):
                json.loads(frame)


@pytest.mark.parametrize("name", EXCHANGES)
def test_answers_that_are_nonsense_are_unreadable_and_nothing_else(name: str) -> None:
    made, known = exchange(name), listings(name)
    draw = random.Random(name)
    nonsense = [
        b"",
        b"{",
        b"null",
        b"[]",
        b"{}",
        b"[[]]",
        b"\xff",
        b'{"result":1}',
        b'{"data":[{}]}',
    ]
    asked = list(requests(made, known))
    for request in draw.sample(asked, min(40, len(asked))):
        for payload in nonsense:
            try:
                items = made.decoder(known).read(payload, RECEIVED, request)
            except UnreadableMessage:
                continue
            assert all(isinstance(item, SAID) for item in items)


@given(payload=st.binary(max_size=200))
@pytest.mark.parametrize("name", EXCHANGES)
def test_any_bytes_are_events_or_unreadable(name: str, payload: bytes) -> None:
    with contextlib.suppress(UnreadableMessage):
        items = exchange(name).decoder().read(payload, RECEIVED)
        assert all(isinstance(item, SAID) for item in items)


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_a_changed_book_is_right_rows_or_unreadable_and_what_was_lost_is_told(
    stream: Any,
) -> None:
    made, draw = exchange(stream.name), random.Random(2)
    known = listed(next(venue for venue in VENUES if venue.name == stream.name))
    (channel,) = made.channels("book_depth", known)
    sizes = [(90_000.0 - n, 5.0) for n in range(5)], [(90_001.0 + n, 5.0) for n in range(5)]
    for _ in range(200):
        decoder, whole = made.decoder(known), False
        for n in range(1, 7):
            is_first, now = n in {1, 5}, RECEIVED // 1_000_000 - 60_000 + 6_000 * n
            *before, right = (
                [stream.snapshot(n, now, *sizes)]
                if is_first
                else stream.changes(n, now, sizes[0][:2], sizes[1][:2])
            )
            for message in before:
                decoder.read(json.dumps(message).encode(), RECEIVED)
            sent = mutated(right, draw) if draw.random() < 0.4 else right
            asked = channel.snapshot if is_first else None
            try:
                items = decoder.read(json.dumps(sent).encode(), RECEIVED, asked)
            except UnreadableMessage:
                continue
            assert all(isinstance(item, SAID) for item in items)
            assert_lawful(item for item in items if isinstance(item, Event))
            for item in items:
                if isinstance(item, Synced | Resync):
                    whole = isinstance(item, Synced) or item.since is None
                elif isinstance(item, Event):
                    assert whole


def assert_lawful(events: Iterator[Event]) -> None:
    for kind, frame in rows(events).items():
        broken = frame.select(TABLES[kind].violations().alias("broken"))["broken"]
        assert broken.drop_nulls().to_list() == [], frame


@pytest.mark.parametrize("venue", VENUES, ids=lambda venue: venue.name)
def test_what_is_asked_again_and_again_is_asked_of_what_is_listed(venue: Any) -> None:
    made = exchange(venue.name)
    for listing in listed(venue):
        for kind, offer in made.offers.items():
            if offer.poll is not None and kind != "option_quote":
                plans = made.polls(kind, [listing])
                assert not plans or any(plan.asks_of(listing) for plan in plans), kind


def listed(venue: Any) -> list[Listing]:
    """What a fake lists, read by the adapter."""
    made = exchange(venue.name)
    found: dict[str, Listing] = {}
    for request in made.instruments():
        path = request.url
        for ends, body in venue.answers.items():
            if path.endswith(ends):
                answer = body(request.query, b"") if callable(body) else body
                for item in _read(made, found, answer, request):
                    found[item.category + item.native] = item
                break
    return list(found.values())


def _read(
    made: Exchange, found: dict[str, Listing], answer: Any, request: Request
) -> list[Listing]:
    try:
        items = made.decoder(found.values()).read(json.dumps(answer).encode(), RECEIVED, request)
    except UnreadableMessage:
        return []
    return [item for item in items if isinstance(item, Listing)]
