"""What can be reached from here: each exchange's hosts, their clocks, and room on the disk."""

from __future__ import annotations

import asyncio
import shutil
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, NamedTuple

import aiohttp

from plimsoll.exchanges import EXCHANGES
from plimsoll.exchanges import exchange as known_exchange

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

__all__ = ["Finding", "examine", "room"]

_TIMEOUT = 10.0


class Finding(NamedTuple):
    """How one host answered.

    Attributes
    ----------
    exchange, host : str
    ok : bool
    words : str
    seconds : float or None
        How long the answer took.
    offset : float or None, seconds
        Its clock less ours, to about a second: HTTP tells no more.
    """

    exchange: str
    host: str
    ok: bool
    words: str
    seconds: float | None = None
    offset: float | None = None


async def examine(
    names: Iterable[str] = (), *, address: Callable[[str], str] = lambda url: url
) -> list[Finding]:
    """Ask each exchange for its listings once, and say how its hosts answered.

    Parameters
    ----------
    names : iterable of str
        Exchanges; all if empty.
    address : callable, optional
        Returns the URL to use in place of one.

    Returns
    -------
    list of Finding
        One for each host.
    """
    asked: dict[tuple[str, str], tuple[str, str, dict[str, str], bytes | None]] = {}
    for name in list(names) or list(EXCHANGES):
        for request in known_exchange(name).instruments():
            host = request.url.split("/")[2]
            asked.setdefault(
                (name, host), (request.method, request.url, request.query, request.body)
            )
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT)
    async with aiohttp.ClientSession(trust_env=True, timeout=timeout) as session:
        return list(
            await asyncio.gather(
                *(
                    _one(session, name, host, method, address(url), query, body)
                    for (name, host), (method, url, query, body) in asked.items()
                )
            )
        )


async def _one(
    session: aiohttp.ClientSession,
    name: str,
    host: str,
    method: str,
    url: str,
    query: dict[str, str],
    body: bytes | None,
) -> Finding:
    headers = {"Content-Type": "application/json"} if body is not None else {}
    began = time.time()
    try:
        async with session.request(
            method, url, params=query, data=body, headers=headers
        ) as response:
            await response.read()
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        return Finding(name, host, ok=False, words=str(error) or "no answer in time")
    took = time.time() - began
    words = {
        200: "answers",
        403: "refuses this address (403): blocked, or asked too often",
        418: "has banned this address for a while (418)",
        429: "was asked too often (429)",
        451: "does not serve this region (451)",
    }.get(response.status, f"answers with {response.status}")
    offset = _offset(response.headers.get("Date", ""), began + took / 2)
    return Finding(name, host, response.status == 200, words, took, offset)


def _offset(date: str, asked: float) -> float | None:
    """Return how far a clock is ahead that said so when it was asked; it leaves out fractions."""
    try:
        return parsedate_to_datetime(date).timestamp() + 0.5 - asked
    except ValueError:
        return None


def room(path: Path) -> tuple[int, int]:
    """Return bytes free and in all where a store is, or would be."""
    while not path.exists() and path != path.parent:
        path = path.parent
    usage = shutil.disk_usage(path)
    return usage.free, usage.total
