"""Binance's public archive, data.binance.vision, as it lies in its zip files or unpacked.

A file's name gives the instrument and the type. It does not give the market: spot and futures,
and klines of four prices, share their names. The archive's folders tell, and are believed; where
they are missing the content is asked, and a file that fits two markets is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from plimsoll.archives.binance_layouts import (
    LAYOUTS,
    MICROSECONDS,
    MILLISECONDS,
    Layout,
    PriceKind,
    Series,
)
from plimsoll.archives.source import LINE
from plimsoll.errors import ArchiveError, DamagedFile, UnknownSymbol, Unrecognised
from plimsoll.market.native import unified

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plimsoll.archives.source import Source
    from plimsoll.market.native import Market

__all__ = ["ACCEPTS", "NAME", "read", "recognises"]

NAME = "binance_vision"
ACCEPTS = (
    "files of data.binance.vision under their own names (BTCUSDT-metrics-2024-01-01.zip): klines "
    "of any price, aggTrades, trades, metrics, fundingRate, bookDepth, bookTicker, "
    "liquidationSnapshot, EOHSummary, BVOLIndex"
)

_TYPES = "|".join(name for name in LAYOUTS if name != "klines")
_NAME = re.compile(
    rf"(?P<symbol>[^\s\-/a-z]+)-(?:(?P<type>{_TYPES})|(?P<interval>\d+(?:[smhdwM]|mo)))"
    r"-\d{4}-\d{2}(?:-\d{2})?(?:\.csv)?(?:\.zip|\.gz)?"
)
_OPTION_TYPES = ("EOHSummary", "BVOLIndex")
_SHARED_WITH_SPOT = ("klines", "aggTrades", "trades")
_PRICE_KINDS: dict[str, PriceKind] = {
    "klines": "trade",
    "markPriceKlines": "mark",
    "indexPriceKlines": "index",
    "premiumIndexKlines": "premium",
}
_INVERSE = re.compile(r".+USD_PERP|(?!(?:BTC|ETH)BUSD).+USD_\d{6}")


@dataclass(frozen=True)
class _Name:
    """What a file's name says."""

    symbol: str
    type: str
    interval: str

    @property
    def layout(self) -> Layout:
        return LAYOUTS[self.type]


def recognises(source: Source) -> bool:
    """Return whether the file is one of the archive: by its name, and by its first line.

    Parameters
    ----------
    source : Source

    Returns
    -------
    bool
        True also for a file of the right name that is empty, so that `read` can say so.
    """
    if source.packing == "parquet" or (name := _name(source)) is None:
        return False
    return _is_empty(source) or name.layout.fits(source.first_row, header=source.has_header)


def read(source: Source) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield the file's rows as rows of our tables.

    Parameters
    ----------
    source : Source
        A file that `recognises` accepts.

    Yields
    ------
    kind : str
        The table. One row of ``metrics`` makes rows of three kinds.
    frame : DataFrame
        Rows of that table, amounts in base units, with `LINE`.

    Raises
    ------
    Unrecognised
        If the file could be of more than one market or price.
    UnknownSymbol
        If its name cannot be split into base and quote.
    DamagedFile
        If it is empty or breaks off.
    ArchiveError
        If its stamps are in neither milliseconds nor microseconds.
    """
    name = _name(source)
    if name is None:
        raise Unrecognised(source.path, f"the name is none of data.binance.vision; {ACCEPTS}")
    if _is_empty(source):
        raise DamagedFile(source.path, "the file is empty; download it again")
    series = _series(source, name)
    facts = name.layout.facts(series)
    for piece in source.csv(name.layout.schema(len(source.first_row))):
        rows = piece
        if name.layout.stamp:
            _check_unit(source, rows[name.layout.stamp])
        if name.layout.names_rows:
            rows = _with_symbols(source, rows, series.market)
        for fact in facts:
            yield fact.kind, fact.of(rows)


def _name(source: Source) -> _Name | None:
    for text in (source.name, source.path.name):
        if match := _NAME.fullmatch(text):
            return _Name(match["symbol"], match["type"] or "klines", match["interval"] or "")
    return None


def _is_empty(source: Source) -> bool:
    return not source.head.strip()


def _series(source: Source, name: _Name) -> Series:
    market = _market(source, name)
    symbol = unified("binance", _native(name, market), market=_settled(market))
    contract = None
    if market == "inverse":
        contract = 100.0 if symbol.startswith("BTC/") else 10.0
    if name.type != "klines":
        return Series(market, symbol, contract)
    return Series(market, symbol, contract, name.interval, _price_kind(source, market))


def _native(name: _Name, market: Market) -> str:
    """Return the instrument that a file is filed under.

    An index belongs to a pair, and goes to its perpetual; a volatility index goes to the
    perpetual that names the family of its options.
    """
    if name.type == "BVOLIndex":
        return re.sub(r"BVOL(?=USDT$)", "", name.symbol)
    if market == "inverse" and name.symbol.endswith("USD"):
        return f"{name.symbol}_PERP"
    return name.symbol


def _settled(market: Market) -> Market:
    return "linear" if market == "option" else market


def _market(source: Source, name: _Name) -> Market:
    if name.type in _OPTION_TYPES:
        return "option"
    folders = source.path.absolute().parent.parts
    for parent, folder in reversed(list(zip(("", *folders), folders, strict=False))):
        if folder == "spot":
            return "spot"
        if parent == "futures" and folder in {"um", "cm"}:
            return "linear" if folder == "um" else "inverse"
    if _INVERSE.fullmatch(name.symbol):
        return "inverse"
    shared = name.type in _SHARED_WITH_SPOT and not set(folders) & {*_PRICE_KINDS} - {"klines"}
    if not shared or "_" in name.symbol:
        return "linear"
    return _market_of_content(source, name)


def _market_of_content(source: Source, name: _Name) -> Market:
    """Tell spot from USD-M futures: by the number of columns, a header, the unit of time."""
    futures, spot = name.layout.widths
    if futures != spot:
        return "linear" if len(source.first_row) == futures else "spot"
    if source.has_header:
        return "linear"
    stamp = source.first_row[0]
    if stamp.isdigit() and int(stamp) >= MICROSECONDS[0]:
        return "spot"
    try:
        unified("binance", name.symbol, market="linear")
    except UnknownSymbol:
        return "spot"
    raise Unrecognised(
        source.path,
        f"{name.symbol} {name.interval} klines of spot and of futures look alike; keep the "
        "archive's folder names: put the file under spot/ or futures/um/",
    )


def _price_kind(source: Source, market: Market) -> PriceKind:
    for folder in reversed(source.path.absolute().parent.parts):
        if folder in _PRICE_KINDS:
            return _PRICE_KINDS[folder]
    if market == "spot" or _has_volume(source):
        return "trade"
    raise Unrecognised(
        source.path,
        "these klines have no volume and could be of the mark, the index or the premium; keep the "
        f"archive's folder names: put the file under {'/, '.join(_PRICE_KINDS)}/",
    )


def _has_volume(source: Source) -> bool:
    """Return whether anything was traded in the first rows; true of a file without rows."""
    rows = [line.split(",") for line in source.head.splitlines()[source.has_header :]]
    volumes = [cells[5] for cells in rows if len(cells) == len(source.first_row)]
    return not volumes or any(volume.strip("0.") for volume in volumes)


def _check_unit(source: Source, stamps: pl.Series) -> None:
    """Refuse a file whose every stamp is in another unit, rather than reject each row."""
    low, high = MILLISECONDS[0], MICROSECONDS[1]
    known = stamps.drop_nulls()
    if known.is_empty() or known.is_between(low, high, closed="left").any():
        return
    unit = "seconds" if int(known[0]) < low else "nanoseconds"
    raise ArchiveError(
        source.path,
        f"{stamps.name} is {known[0]}, which looks like {unit}; the archive has milliseconds, or "
        "microseconds: take the file as it was published",
    )


def _with_symbols(source: Source, rows: pl.DataFrame, market: Market) -> pl.DataFrame:
    """Name each row's own instrument, and reject rows whose name cannot be read."""
    symbols: dict[str, str] = {}
    for name in rows["symbol"].unique():
        try:
            symbols[name] = unified("binance", name or "", market=market)
        except UnknownSymbol as error:
            for row in rows.filter(pl.col("symbol").eq_missing(name)).iter_rows(named=True):
                source.reject(row.pop(LINE), str(error), row)
    known = rows.filter(pl.col("symbol").is_in(list(symbols)))
    return known.with_columns(pl.col("symbol").replace_strict(symbols, return_dtype=pl.String))
