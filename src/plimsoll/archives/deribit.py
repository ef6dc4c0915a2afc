"""Deribit's book summaries as it answers them, and chains of its options collected as a table.

The first is the JSON answer of ``public/get_book_summary_by_currency``: one document, or one
answer a line. Its stamp is `creation_timestamp`, and it is known once Deribit has sent it
(`usOut`). Its funding figures are left out: `funding_8h` is an average over the past eight hours
and `current_funding` a momentary one, neither is a rate that is settled.

The second is a Parquet or CSV file with a row for each option and moment.

Deribit counts inverse futures and perpetuals in US dollars, everything else in coins. It leaves
out a bid or ask that is not there, or gives it as zero; both become null.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import msgspec
import polars as pl

from plimsoll.archives.source import LINE
from plimsoll.errors import ArchiveError, DamagedFile, UnknownSymbol
from plimsoll.market.native import unified
from plimsoll.market.schema import TIME
from plimsoll.market.symbols import Symbol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plimsoll.archives.source import Source

    Rows = Iterator[tuple[str, pl.DataFrame]]

__all__ = ["ACCEPTS", "NAME", "read", "recognises"]

NAME = "deribit"
ACCEPTS = (
    "JSON answers of Deribit's public/get_book_summary_by_currency (one, or one a line), and "
    "Parquet or CSV tables of its option chains (time, instrument_name, implied_volatility, …)"
)

_CHAIN = {
    "bid_price",
    "ask_price",
    "mark_price",
    "futures_price",
    "implied_volatility",
    "delta",
    "vega",
    "open_interest",
    "volume",
    "index_price",
    "volume_usd",
}
_FACT = ("exchange", "symbol", "time", LINE)


class _Summary(msgspec.Struct):
    """One instrument of an answer."""

    instrument_name: str
    creation_timestamp: int
    mark_price: float | None = None
    mark_iv: float | None = None
    bid_price: float | None = None
    ask_price: float | None = None
    last: float | None = None
    open_interest: float | None = None
    underlying_price: float | None = None
    volume: float | None = None
    volume_usd: float | None = None


class _Answer(msgspec.Struct):
    """The envelope of a JSON-RPC answer."""

    result: list[_Summary]
    usOut: int | None = None  # noqa: N815 (Deribit's own name)


_SUMMARY = {
    name: pl.String() if name == "instrument_name" else pl.Float64()
    for name in _Summary.__struct_fields__
} | {"creation_timestamp": pl.Int64()}


def recognises(source: Source) -> bool:
    """Return whether the file holds book summaries or a table of option chains."""
    if _is_table(source):
        return True
    keys = ('"result"', '"instrument_name"', '"creation_timestamp"', '"open_interest"')
    return source.head.lstrip().startswith("{") and all(key in source.head for key in keys)


def read(source: Source) -> Rows:
    """Yield (kind, frame): piece by piece of a table, answer by answer of JSON.

    A row of JSON carries the number of its answer's line. Combinations of instruments are
    rejected.

    Raises
    ------
    DamagedFile
        If a JSON document breaks off.
    ArchiveError
        If a table's stamps name no time zone and the source gives none.
    """
    symbols = _Symbols(source)
    if _is_table(source):
        for piece in _pieces(source):
            yield "option_quote", _chain(symbols.resolve(_timed(source, piece)))
    else:
        for line, answer in _answers(source):
            yield from _summaries(symbols.resolve(_frame(line, answer)))


def _is_table(source: Source) -> bool:
    return {"time", "instrument_name", *_CHAIN}.issubset(source.first_row)


class _Symbols:
    """The unified symbol of each instrument, looked up once."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._known: dict[str, str | None] = {}
        self._reasons: dict[str, str] = {}

    def resolve(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the rows whose instrument has a symbol, and reject the others."""
        for name in frame["instrument_name"].unique().drop_nulls():
            if name not in self._known:
                self._known[name] = self._look_up(name)
        frame = frame.with_columns(
            exchange=pl.lit("deribit"),
            symbol=pl.col("instrument_name").replace_strict(
                self._known, default=None, return_dtype=pl.String
            ),
        )
        for row in frame.filter(pl.col("symbol").is_null()).iter_rows(named=True):
            name = row["instrument_name"]
            reason = self._reasons.get(name, "instrument_name is missing")
            self._source.reject(row.pop(LINE), reason, row)
        return frame.filter(pl.col("symbol").is_not_null())

    def _look_up(self, name: str) -> str | None:
        try:
            return unified("deribit", name)
        except UnknownSymbol as error:
            self._reasons[name] = str(error)
            return None


def _positive(name: str) -> pl.Expr:
    """Return a price, null where there is none."""
    return pl.when(pl.col(name) != 0).then(name).alias(name)


def _pieces(source: Source) -> Iterator[pl.DataFrame]:
    if source.packing == "parquet":
        yield from source.parquet()
        return
    schema = {name: pl.Float64() if name in _CHAIN else pl.String() for name in source.first_row}
    yield from source.csv(schema)


def _timed(source: Source, frame: pl.DataFrame) -> pl.DataFrame:
    dtype, time = frame.schema["time"], pl.col("time")
    if dtype == pl.String:
        texts = frame["time"].unique().drop_nulls()
        moments = {text: _instant(source, text) for text in texts}
        time = time.replace_strict(moments, default=None, return_dtype=TIME)
    elif isinstance(dtype, pl.Datetime) and dtype.time_zone is None:
        time = time.dt.replace_time_zone(_zone(source), ambiguous="null", non_existent="null")
    return frame.with_columns(time.cast(TIME).alias("time"))


def _instant(source: Source, text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(_zone(source)))
    return moment.astimezone(UTC)


def _zone(source: Source) -> str:
    if source.time_zone is None:
        raise ArchiveError(
            source.path, "the stamps in 'time' name no time zone; say which zone they are in"
        )
    return source.time_zone


def _chain(frame: pl.DataFrame) -> pl.DataFrame:
    # Where Deribit has no future and no synthetic one for an expiry, the table leaves
    # futures_price empty: the forward is not known, and the index is not put in its place.
    return frame.select(
        *_FACT,
        "index_price",
        "mark_price",
        "open_interest",
        "volume",
        "volume_usd",
        "delta",
        "vega",
        _positive("bid_price"),
        _positive("ask_price"),
        underlying_price="futures_price",
        mark_iv="implied_volatility",
    )


def _answers(source: Source) -> Iterator[tuple[int, _Answer]]:
    decode = msgspec.json.Decoder(_Answer).decode
    first, newline, _ = source.head.partition("\n")
    if newline and first.strip() and not first.rstrip().endswith("}"):
        try:
            yield 1, decode(source.text())
        except msgspec.DecodeError as error:
            raise DamagedFile(
                source.path, f"the JSON breaks off or is no answer ({error})"
            ) from error
        return
    for start, piece in source.pieces():
        for line, text in enumerate(piece.split(b"\n"), start):
            if not text.strip():
                continue
            try:
                yield line, decode(text)
            except msgspec.DecodeError as error:
                reason = f"not an answer of get_book_summary_by_currency: {error}"
                source.reject(line, reason, {"line": text[:500].decode(errors="replace")})


def _frame(line: int, answer: _Answer) -> pl.DataFrame:
    items = [msgspec.structs.astuple(item) for item in answer.result]
    made, sent = pl.col("creation_timestamp") * 1000, pl.lit(answer.usOut, pl.Int64)
    return pl.DataFrame(items, schema=_SUMMARY, orient="row").with_columns(
        made.cast(TIME).alias("time"),
        pl.max_horizontal(made, sent).cast(TIME).alias("known_at"),
        pl.lit(line, pl.Int64).alias(LINE),
    )


def _summaries(frame: pl.DataFrame) -> Rows:
    parts = {symbol: Symbol.parse(symbol) for symbol in frame["symbol"].unique()}
    kinds = {symbol: part.kind for symbol, part in parts.items()}
    inverse = pl.col("symbol").is_in([s for s, p in parts.items() if p.settlement == "inverse"])
    frame = frame.with_columns(
        kind=pl.col("symbol").replace_strict(kinds, default=None, return_dtype=pl.String)
    )
    options = frame.filter(pl.col("kind") == "option")
    others = frame.filter(pl.col("kind") != "option")
    yield (
        "option_quote",
        options.select(
            *_FACT,
            "known_at",
            "underlying_price",
            "mark_price",
            "open_interest",
            "volume",
            "volume_usd",
            _positive("bid_price"),
            _positive("ask_price"),
            last_price="last",
            mark_iv=pl.col("mark_iv") / 100,
        ),
    )
    yield "mark_price", others.select(*_FACT, "known_at", "mark_price", last_price="last")
    stated = pl.col("open_interest")
    yield (
        "open_interest",
        others.filter(pl.col("kind") != "spot").select(
            *_FACT,
            "known_at",
            amount=pl.when(inverse).then(stated / pl.col("mark_price")).otherwise(stated),
            value_usd=pl.when(inverse).then(stated),
        ),
    )
