"""Coinbase International: linear perpetuals, since 2026-09-09 on Deribit's engine.

Traps: what Deribit's module names; and before that day it had an API and names of its own
(``BTC-PERP``), which nothing answers any more. No host keeps its trades longer than 24 hours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from msgspec.structs import replace

from plimsoll.exchanges.base import Limit
from plimsoll.exchanges.deribit import Deribit, DeribitDecoder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from plimsoll.exchanges.base import Offer
    from plimsoll.exchanges.reading import Decoder, Listing

__all__ = ["EXCHANGE", "Coinbase"]

NAME = "coinbase"
_DAY = {"history": "24 hours"}
_CHANGED = {"trade": {**_DAY, "note": ""}, "liquidation": _DAY}


class Coinbase(Deribit):
    """Coinbase's perpetuals; options are not listed there yet."""

    name = NAME
    # None of it was held against a recorded message: what was recorded is of the older API.
    offers: ClassVar[Mapping[str, Offer]] = {
        kind: replace(offer, checked="documented", **_CHANGED.get(kind, {}))
        for kind, offer in Deribit.offers.items()
        if kind not in {"option_quote", "volatility_index"}
    }
    # Its own limits are not published: half of Deribit's.
    limits: ClassVar[tuple[Limit, ...]] = (Limit(name=NAME, amount=10, seconds=1),)

    rest: ClassVar[str] = "https://drb.coinbase.com/api/v2"
    past: ClassVar[str] = rest
    socket: ClassVar[str] = "wss://streams.drb.coinbase.com/ws/api/v2"

    def decoder(self, listings: Iterable[Listing] = ()) -> Decoder:
        """Return a new decoder."""
        return _Decoder(listings)


EXCHANGE = Coinbase()


class _Decoder(DeribitDecoder):
    exchange = NAME
