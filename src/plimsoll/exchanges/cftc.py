"""The CFTC's weekly report on traders in financial futures, from its public reporting API.

It is no exchange and has no socket, and tells of several: CME, Cboe, and Coinbase Derivatives. What
is listed are its markets, each under the CFTC's code; several are of one symbol, as a contract of
five coins and one of a tenth. Positions are those of a Tuesday, and are known on the Friday after
it, at 15:30 in New York (`market.commitments`, which the import of its files reads rows with too).

Traps: all numbers are text, and what is null is left out. Around holidays and shutdowns the report
comes later than on its Friday, which it does not say: then it was known later than its `known_at`.
A contract whose name is not known is not listed. How often one may ask without a key is not said.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl

from plimsoll.errors import Unsupported
from plimsoll.exchanges.base import Exchange, Limit, Offer, Poll
from plimsoll.exchanges.reading import Decoder, Listing, Request, decode, number
from plimsoll.market import commitments
from plimsoll.market.instrument import Instrument
from plimsoll.market.interval import SECOND
from plimsoll.market.schema import TABLES, TIME, events

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["EXCHANGE", "Cftc"]

NAME = "cftc"
REPORT = "https://publicreporting.cftc.gov/resource/gpe5-46if.json"  # futures only
RECENT = "500"  # rows: some months of all markets
MOST = "5000"  # rows: of one market, a century

_DAY = "report_date_as_yyyy_mm_dd"
_CODE = "cftc_contract_market_code"
_DIGITAL = " OR ".join(
    [
        *(f"starts_with({_CODE}, '{code}')" for code in commitments.CODES),
        f"cftc_subgroup_code = '{commitments.SUBGROUP}'",
    ]
)


class Cftc(Exchange):
    """The CFTC's Traders in Financial Futures, futures only, on digital assets."""

    name = NAME
    offers = {
        "commitment": Offer(
            poll=3_600, history="all", window=36_500, note="weekly; known on Friday 15:30 New York"
        )
    }
    limits = (Limit(name=NAME, amount=10, seconds=60),)

    def instruments(self) -> list[Request]:
        """Return what to ask for the markets that were reported on lately."""
        return [_report("instrument", _DIGITAL, RECENT)]

    def polls(self, kind: str, listings: Sequence[Listing]) -> list[Poll]:
        """Return one request for the last reports on all markets."""
        del listings
        if kind != "commitment":
            raise Unsupported(NAME, kind, "cannot be asked for")
        return [Poll(request=_report(kind, _DIGITAL, RECENT), every=3_600)]

    def history(self, kind: str, listing: Listing, since: int, until: int) -> Request:
        """Return the one request that is answered with all reports of a market."""
        if kind != "commitment":
            raise Unsupported(NAME, kind, "has no history here")
        span = f"{_DAY} >= '{_moment(since)}' AND {_DAY} < '{_moment(until)}'"
        return _report(kind, f"{_CODE} = '{listing.native}' AND {span}", MOST)

    def decoder(self, listings: Iterable[Listing] = ()) -> Decoder:
        """Return a new decoder."""
        return _Decoder(listings)


EXCHANGE = Cftc()


def _report(kind: str, where: str, most: str) -> Request:
    query = {"$where": where, "$order": f"{_DAY} DESC", "$limit": most}
    return Request(kind=kind, url=REPORT, query=query, limit=NAME)


def _moment(nanos: int) -> str:
    return datetime.fromtimestamp(nanos // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%S")


class _Decoder(Decoder):
    exchange = NAME

    def answer(self, payload: bytes, received: int, request: Request) -> list[Any]:
        frame = _rows(payload)
        if commitments.combined(frame):
            raise ValueError("it counts options together with futures")
        frame = commitments.named(frame).filter(
            pl.col("coin").is_not_null() & pl.col("exchange").is_not_null()
        )
        told = commitments.commitments(frame)
        if request.kind == "instrument":
            return _listings(told)
        known = [(category, native) in self.listings for category, native in _markets(told)]
        told = told.filter(pl.Series(known, dtype=pl.Boolean)).with_columns(
            received=pl.lit(received // 1_000).cast(pl.Int64).cast(TIME)
        )
        return events("commitment", TABLES["commitment"].conform(told))


def _rows(payload: bytes) -> pl.DataFrame:
    """Return the answer's rows with the columns that are read."""
    words = sorted(commitments.NEEDED - commitments.NUMBERS)
    numbers = sorted(commitments.NUMBERS)
    also = ("cftc_subgroup_code", "futonly_or_combined")
    rows = [
        {commitments.plain(name): text for name, text in row.items()}
        for row in decode(payload, list[dict[str, str]])
    ]
    columns: dict[str, Any] = {
        **{name: [row[name] for row in rows] for name in words if name != "contract_units"},
        **{name: [row.get(name) for row in rows] for name in ("contract_units", *also)},
        **{name: [number(row[name]) for row in rows] for name in numbers},
    }
    kinds = {name: pl.Float64() if name in numbers else pl.String() for name in columns}
    return pl.DataFrame(columns, schema=kinds)


def _markets(told: pl.DataFrame) -> list[tuple[str, str]]:
    return told.select("exchange", "market").rows()


def _listings(told: pl.DataFrame) -> list[Listing]:
    """Return the markets, each as its newest report has it."""
    newest = told.unique(["exchange", "market"], keep="first", maintain_order=True)
    return [
        Listing(
            native=row["market"],
            category=row["exchange"],
            instrument=Instrument(
                exchange=row["exchange"],
                symbol=row["symbol"],
                contract_size=Decimal(str(row["contract_size"] or 1)),
            ),
            is_market=False,
        )
        for row in newest.iter_rows(named=True)
    ]
