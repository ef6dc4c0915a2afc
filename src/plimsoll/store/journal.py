"""Appended rows, durable before they count as kept.

A segment is a file of frames, each an Arrow IPC stream of one batch with a
checksum before it. `append` returns after `fdatasync`. The writer of a segment
holds a lock on it for as long as it lives, so what is not locked is finished.
A frame that was cut short by a crash was never acknowledged and is left out.
"""

from __future__ import annotations

import fcntl
import io
import os
import struct
import time
import uuid
import zlib
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from plimsoll.market.schema import TABLES
from plimsoll.store.layout import sync_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["Journal", "Segment", "batches", "is_finished", "read_segment"]

_MAGIC = b"PLJ1"
_HEADER = struct.Struct("<4sII")
_SEGMENT = 64 * 1024 * 1024


class Journal:
    """One writer's part of the journal; threads may share it.

    Parameters
    ----------
    folder : Path
        Where segments lie.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._alone = Lock()
        self._handle: int | None = None
        self._size = 0
        self.path: Path | None = None

    def append(self, frames: Mapping[str, pl.DataFrame]) -> None:
        """Keep rows; when this returns they survive a crash.

        Parameters
        ----------
        frames : mapping of str to DataFrame
            Rows by the table they are of, with exactly its columns.

        Raises
        ------
        OSError
            If the disk refuses; then none of the rows count as kept.
        """
        payloads = [_pack(kind, frame) for kind, frame in frames.items()]
        record = b"".join(
            _HEADER.pack(_MAGIC, len(payload), zlib.crc32(payload)) + payload
            for payload in payloads
        )
        with self._alone:
            handle = self._segment()
            try:
                _write(handle, record)
                os.fdatasync(handle)
            except OSError:
                os.ftruncate(handle, self._size)
                os.lseek(handle, self._size, os.SEEK_SET)
                raise
            self._size += len(record)
            if self._size >= _SEGMENT:
                self._finish()

    def close(self) -> None:
        """Finish the segment; the next append begins another."""
        with self._alone:
            self._finish()

    def _finish(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle, self._size, self.path = None, 0, None

    def _segment(self) -> int:
        if self._handle is None:
            name = f"{time.time_ns():020}-{uuid.uuid4().hex}"  # read again in the order written
            self.path = self._folder / f"{name}.journal"
            unborn = self.path.with_suffix(".new")  # nobody may see it before it is locked
            self._handle = os.open(unborn, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
            fcntl.flock(self._handle, fcntl.LOCK_EX)
            self._size = 0
            try:
                unborn.rename(self.path)
                sync_folder(self._folder)
            except OSError:
                self._finish()
                raise
        return self._handle


def _pack(kind: str, frame: pl.DataFrame) -> bytes:
    table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    table = table.replace_schema_metadata({"kind": kind})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def _write(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


@dataclass
class Segment:
    """What was found in a segment.

    Attributes
    ----------
    batches : list of (str, DataFrame)
        Kind and rows, in the order appended.
    torn : int
        Bytes at the end that were never acknowledged.
    damaged : int
        Bytes before the end that do not match their checksum.
    """

    batches: list[tuple[str, pl.DataFrame]] = field(default_factory=list)
    torn: int = 0
    damaged: int = 0


def read_segment(path: Path) -> Segment:
    """Return all whole batches of a segment, whether or not it is still written."""
    return batches(path.read_bytes())


def batches(data: bytes) -> Segment:
    """Return all whole batches of a segment's bytes, which begin where one does."""
    segment, at = Segment(), 0
    while at < len(data):
        payload = _frame(data, at)
        if payload is not None:
            segment.batches.append(_unpack(payload))
            at += _HEADER.size + len(payload)
            continue
        nearest = next(_resume(data, at + 1), len(data))
        if nearest == len(data) and _is_cut_short(data, at):
            segment.torn += nearest - at
        else:
            segment.damaged += nearest - at
        at = nearest
    return segment


def _frame(data: bytes, at: int) -> bytes | None:
    if at + _HEADER.size > len(data):
        return None
    magic, length, checksum = _HEADER.unpack_from(data, at)
    payload = data[at + _HEADER.size : at + _HEADER.size + length]
    if magic != _MAGIC or len(payload) != length or zlib.crc32(payload) != checksum:
        return None
    return payload


def _is_cut_short(data: bytes, at: int) -> bool:
    """Return whether what stands there is the beginning of a frame, and no more."""
    if at + _HEADER.size > len(data):
        return True
    magic, length, _ = _HEADER.unpack_from(data, at)
    return bool(magic == _MAGIC and at + _HEADER.size + length > len(data))


def _resume(data: bytes, at: int) -> Iterator[int]:
    """Find where the next whole frame begins."""
    while (at := data.find(_MAGIC, at)) >= 0:
        if _frame(data, at) is not None:
            yield at
        at += 1


def _unpack(payload: bytes) -> tuple[str, pl.DataFrame]:
    table = pa.ipc.open_stream(payload).read_all()
    kind = (table.schema.metadata or {})[b"kind"].decode()
    rows = pl.DataFrame(pl.from_arrow(table.replace_schema_metadata(None)))
    return kind, TABLES[kind].widened(rows) if kind in TABLES else rows


def is_finished(path: Path) -> bool:
    """Return whether no living writer holds the segment."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True
