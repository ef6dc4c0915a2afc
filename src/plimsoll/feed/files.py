"""Files of frames as they came: of those that cannot be read and, if they are kept, of all."""

from __future__ import annotations

import base64
import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa

from plimsoll.feed.subscription import Taps

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Files"]


class Files:
    """Where frames of an exchange go that cannot be read, and, if they are kept, all.

    Parameters
    ----------
    root : Path
        Of the store.
    exchange : str
    keep_raw : bool

    Attributes
    ----------
    taps : Taps
        Through which frames come here.
    """

    def __init__(self, root: Path, exchange: str, keep_raw: bool) -> None:
        self._unreadable = root / "unreadable" / f"{exchange}.jsonl"
        self._folder = root / "raw" / exchange
        self._hour = ""
        self._out: pa.CompressedOutputStream | None = None
        self.taps = (
            Taps(raw=self._keep, unreadable=self._note) if keep_raw else Taps(unreadable=self._note)
        )

    def close(self) -> None:
        """Finish the file of this hour."""
        if self._out is not None:
            self._out.close()
            self._out = None

    def _note(self, exchange: str, received: int, payload: bytes, why: str) -> None:
        del exchange
        self._unreadable.parent.mkdir(parents=True, exist_ok=True)
        row = {"received": received, "why": why, "payload": base64.b64encode(payload).decode()}
        with self._unreadable.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def _keep(self, url: str, received: int, payload: bytes) -> None:
        hour = datetime.fromtimestamp(received // 1_000_000_000, tz=UTC).strftime("%Y-%m-%dT%H")
        if hour != self._hour:
            self.close()
            self._folder.mkdir(parents=True, exist_ok=True)
            place = self._folder / f"{hour}.{time.time_ns()}.zst"
            self._out, self._hour = pa.CompressedOutputStream(str(place), "zstd"), hour
        if self._out is not None:
            self._out.write(f"{received} {url} {len(payload)}\n".encode() + payload + b"\n")
