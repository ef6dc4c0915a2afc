"""The server, and the page in a browser."""

from __future__ import annotations

import asyncio
import contextlib
import webbrowser
from typing import TYPE_CHECKING

import click

from plimsoll import session
from plimsoll.cli import flags

if TYPE_CHECKING:
    from pathlib import Path

    from plimsoll.server.running import Running

__all__ = ["PORT", "announce", "serve"]

PORT = 8686


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option(
    "--port", default=PORT, show_default=True, type=click.IntRange(0, 65_535), help="0: any free."
)
@click.option(
    "--token", envvar="PLIMSOLL_TOKEN", help="What clients must know (else PLIMSOLL_TOKEN)."
)
@click.option("--open", "opens", is_flag=True, help="Open the page in a browser.")
@flags.store
def serve(*, host: str, port: int, token: str | None, opens: bool, store: Path | None) -> None:
    """Serve the page, and its numbers over HTTP and WebSocket, until Ctrl-C.

    Listens on this machine alone unless --host names another address; then clients
    must know a token. One is made and shown where none is given. The page asks for
    it; programs send it in the header Authorization: Bearer TOKEN.
    """
    from plimsoll.server.running import Running  # noqa: PLC0415 (brings the server)

    opened = session.open(store)
    running = Running(opened, host, port, token=token)
    announce(running, shows_token=token is None, opens=opens)
    click.echo(f"store: {opened.path}")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(running.serve())
    click.echo("stopped")


def announce(running: Running, *, shows_token: bool, opens: bool) -> None:
    """Say where a server is, and open its page if that is wanted."""
    click.echo(f"the page: {running.url}")
    if running.token and shows_token:
        click.echo(f"the token, shown once: {running.token}")
    if opens and not webbrowser.open(running.url):
        click.echo("no browser could be opened; open that address in one", err=True)
