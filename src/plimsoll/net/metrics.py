"""A page for Prometheus, on this machine only."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

__all__ = ["serve"]


@asynccontextmanager
async def serve(port: int, text: Callable[[], str]) -> AsyncIterator[None]:
    """Serve what `text` returns at ``/metrics`` while the block runs.

    Parameters
    ----------
    port : int
        On 127.0.0.1.
    text : callable
        Returns the page, in Prometheus' text format.
    """

    async def page(_request: web.Request) -> web.Response:
        return web.Response(text=text(), content_type="text/plain")

    app = web.Application()
    app.router.add_get("/metrics", page)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield
    finally:
        await runner.cleanup()
