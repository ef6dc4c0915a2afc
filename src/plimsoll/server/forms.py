"""Answers as bytes: JSON of columns, Arrow, or binary columns.

The binary form is for pages that draw: a header in JSON, then plain arrays. All of it is little
endian; `docs/reference/server.md` says it to the byte.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import polars as pl
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["ARROW", "COLUMNS", "FORMS", "JSON", "MAGIC", "Answer", "chosen", "encode", "packed"]

JSON = "application/json"
ARROW = "application/vnd.apache.arrow.stream"
COLUMNS = "application/vnd.plimsoll.columns"
FORMS = (JSON, COLUMNS, ARROW)
"""The forms an answer has, the first where a client leaves it open."""
MAGIC = b"PLM1"
_HEAD = struct.Struct("<4sI")
_ALIGNED = 8
_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z
_OPTIONS |= orjson.OPT_NON_STR_KEYS
_LARGE = 1 << 20


@dataclass(frozen=True, eq=False)
class Answer:
    """What was found, as columns, and what has to be known of it.

    Attributes
    ----------
    columns : mapping of str to Series or ndarray
        An array may have several dimensions, and columns different lengths.
    facts : mapping
        What the numbers were made with; plain values.
    """

    columns: Mapping[str, pl.Series | NDArray[Any]] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


def chosen(accept: str) -> str | None:
    """Return the form that an ``Accept`` header likes best; None if it likes none.

    Examples
    --------
    >>> chosen("text/html, application/vnd.apache.arrow.stream;q=0.5, */*;q=0.1")
    'application/vnd.apache.arrow.stream'
    """
    liked = dict(_preference(part) for part in accept.split(",")) if accept.strip() else {}
    if not liked:
        return JSON

    def weight(form: str) -> float:
        return liked.get(form, liked.get("application/*", liked.get("*/*", 0.0)))

    best = max(FORMS, key=weight)
    return best if weight(best) > 0 else None


def _preference(part: str) -> tuple[str, float]:
    name, *rest = (piece.strip() for piece in part.split(";"))
    for piece in rest:
        if piece.startswith("q="):
            try:
                return name.lower(), float(piece[2:])
            except ValueError:
                return name.lower(), 0.0
    return name.lower(), 1.0


def encode(answer: Answer, form: str) -> bytes:
    """Return an answer in one of the `FORMS`."""
    if form == ARROW:
        return _arrow(answer)
    if form == COLUMNS:
        return _binary(answer)
    columns = {name: _listed(column) for name, column in answer.columns.items()}
    return text({"facts": answer.facts, "columns": columns})


def text(body: object) -> bytes:
    """Return JSON: times in UTC, unknown numbers null."""
    return orjson.dumps(body, default=_plain, option=_OPTIONS)


def packed(body: bytes, encoding: str) -> bytes:
    """Return bytes compressed by ``gzip`` or ``br``, large ones quickly."""
    level = 1 if len(body) > _LARGE else 5
    name = "brotli" if encoding == "br" else "gzip"
    made: bytes = pa.Codec(name, compression_level=level).compress(body, asbytes=True)
    return made


def _plain(value: object) -> object:
    """Return what `orjson` does not know as what it does."""
    if isinstance(value, pl.DataFrame):
        return {name: _listed(column) for name, column in value.to_dict().items()}
    if isinstance(value, pl.Series):
        return _listed(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, np.ndarray):  # of a kind or order that orjson does not take
        return value.tolist()
    return str(value)


def _listed(column: pl.Series | NDArray[Any]) -> object:
    if isinstance(column, np.ndarray):
        return np.ascontiguousarray(column)
    if column.dtype.is_float():
        return column.to_numpy()  # nulls as NaN, which is written as null
    return column.to_list()


def _binary(answer: Answer) -> bytes:
    arrays, blocks, at = [], [], 0
    for name, column in answer.columns.items():
        dtype, shape, block = _block(column)
        arrays.append(
            {"name": name, "dtype": dtype, "shape": shape, "offset": at, "bytes": len(block)}
        )
        padded = block + bytes(-len(block) % _ALIGNED)
        blocks.append(padded)
        at += len(padded)
    header = text({"facts": answer.facts, "arrays": arrays})
    header += b" " * (-(_HEAD.size + len(header)) % _ALIGNED)
    return b"".join([_HEAD.pack(MAGIC, len(header)), header, *blocks])


def _block(column: pl.Series | NDArray[Any]) -> tuple[str, list[int], bytes]:
    """Return the type, the shape and the bytes of a column."""
    if isinstance(column, np.ndarray):
        if column.dtype.kind == "M":
            column = _milliseconds(column.astype("datetime64[us]"))
        wide = column.ndim == 1 and column.dtype != np.float32
        dtype = "f8" if wide else "f4"  # cells of a map: seven digits are more than it knows
        values = np.ascontiguousarray(column, dtype=f"<{dtype}")
        return dtype, list(column.shape), values.tobytes()
    if column.dtype.is_temporal() and column.dtype != pl.Duration:
        times = column.cast(pl.Datetime("us")).to_numpy()
        return "f8", [len(column)], _milliseconds(times).tobytes()
    if column.dtype.is_numeric():
        values = column.cast(pl.Float64).to_numpy().astype("<f8")
        return "f8", [len(column)], values.tobytes()
    return "json", [len(column)], text(_listed(column))


def _milliseconds(times: NDArray[np.datetime64]) -> NDArray[np.float64]:
    """Return times as milliseconds since 1970, NaN where unknown."""
    since: NDArray[np.float64] = times.astype(np.int64).astype("<f8") / 1_000
    since[np.isnat(times)] = np.nan
    return since


def _arrow(answer: Answer) -> bytes:
    """Return an Arrow stream; what is not as long as the first column is metadata."""
    length = next((len(column) for column in answer.columns.values()), 0)
    arrays, facts = {}, dict(answer.facts)
    for name, column in answer.columns.items():
        if len(column) != length:
            facts[name] = column
        elif isinstance(column, pl.Series):
            arrays[name] = pa.array(column.to_arrow(compat_level=pl.CompatLevel.oldest()))
        else:
            arrays[name] = _nested(column)
    table = pa.table(arrays).replace_schema_metadata({"plimsoll": text(facts)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    body: bytes = sink.getvalue().to_pybytes()
    return body


def _nested(values: NDArray[Any]) -> pa.Array:
    """Return an array of any dimensions, null where it is NaN."""
    if values.dtype.kind == "M":
        return pa.array(values.astype("datetime64[us]")).cast(pa.timestamp("us", "UTC"))
    dtype = np.float32 if values.ndim > 1 else values.dtype
    made = pa.array(np.ascontiguousarray(values, dtype=dtype).ravel(), from_pandas=True)
    for size in reversed(values.shape[1:]):
        made = pa.FixedSizeListArray.from_arrays(made, size)
    return made
