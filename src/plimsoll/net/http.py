"""HTTP requests: each waits for its allowance, and every refusal is told by its kind."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple, Self

import aiohttp

from plimsoll.errors import ConnectionLost, RateLimited, Rejected
from plimsoll.net.limits import Limiter
from plimsoll.net.retry import retried

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Allowance", "Client"]

TIMEOUT = 20.0
_TRIES = 5
_BANS = {429: 10.0, 418: 120.0, 403: 600.0}
"""Codes that say we asked too often, and how long to be silent where the server does not say."""


class Allowance(NamedTuple):
    """What a request counts against.

    Attributes
    ----------
    name : str
        Shared by all hosts with one allowance.
    amount : float
        Of weight, in `seconds`.
    seconds : float
    header : str or None
        The response header that says how much is used.
    """

    name: str
    amount: float
    seconds: float
    header: str | None = None


class Client:
    """Asks over HTTP; proxies are taken from the environment.

    Parameters
    ----------
    address : callable, optional
        Returns the URL to use in place of one: for tests, and for mirrors.
    tries : int
        How often a request is tried while its failures are transient.
    patience : float, seconds
        A server that wants us silent for longer is not waited for: its refusal is raised, and so
        it is for whoever asks it meanwhile.
    """

    def __init__(
        self,
        address: Callable[[str], str] = lambda url: url,
        *,
        tries: int = _TRIES,
        patience: float = math.inf,
    ) -> None:
        self._address, self._tries, self._patience = address, tries, patience
        self._limiters: dict[str, Limiter] = {}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            trust_env=True, timeout=aiohttp.ClientTimeout(total=TIMEOUT)
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def ask(
        self,
        method: str,
        url: str,
        allowance: Allowance,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        weight: float = 1.0,
    ) -> bytes:
        """Return the body of an answer.

        Parameters
        ----------
        method, url : str
        allowance : Allowance
        query : mapping of str to str, optional
        body : bytes, optional
            JSON.
        weight : float

        Raises
        ------
        ConnectionLost
            If the server did not answer, or failed, at every try.
        RateLimited
            If it refused at every try because it was asked too often, or wants more patience.
        Rejected
            If it refused.
        """
        limiter = self._limiters.setdefault(
            allowance.name, Limiter(allowance.amount, allowance.seconds)
        )

        async def once() -> bytes:
            if not await limiter.take(weight, patience=self._patience):
                host, left = url.split("/")[2], limiter.silence
                raise RateLimited(host, f"banned us: silent for {left:.0f} s", retry_after=left)
            return await self._once(method, url, limiter, allowance.header, query, body)

        return await retried(once, tries=self._tries, patience=self._patience)

    async def _once(
        self,
        method: str,
        url: str,
        limiter: Limiter,
        header: str | None,
        query: Mapping[str, str] | None,
        body: bytes | None,
    ) -> bytes:
        if self._session is None:
            raise RuntimeError("a client asks inside `async with`")
        host = url.split("/")[2]
        headers = {"Content-Type": "application/json"} if body is not None else {}
        try:
            async with self._session.request(
                method, self._address(url), params=dict(query or {}), data=body, headers=headers
            ) as response:
                payload = await response.read()
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            why = str(error) or type(error).__name__
            raise ConnectionLost(host, f"did not answer: {why}") from error
        if header is not None and (used := response.headers.get(header, "")).isdigit():
            limiter.used(float(used))
        _refuse(host, response.status, response.headers, payload, limiter)
        return payload


def _refuse(
    host: str, status: int, headers: Mapping[str, str], payload: bytes, limiter: Limiter
) -> None:
    """Raise what a status means, and be silent where it asks for silence."""
    if status < 400:
        return
    shown = payload[:200].decode("utf-8", errors="replace")
    if status in _BANS:
        said = headers.get("Retry-After", "")
        wait = float(said) if said.isdigit() else _BANS[status]
        limiter.pause(wait)
        raise RateLimited(
            host, f"asked too often ({status}), silent for {wait:g} s", retry_after=wait
        )
    if status >= 500:
        raise ConnectionLost(host, f"failed ({status}): {shown}")
    why = "does not serve this region" if status == 451 else f"refused: {shown}"
    raise Rejected(host, why, code=str(status))
