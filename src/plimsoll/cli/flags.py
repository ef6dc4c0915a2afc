"""Options that mean the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from plimsoll.cli.output import SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Output", "Span", "as_json", "fit", "leverage", "measured", "output", "span", "store"]

Decorator = "Callable[[Callable[..., Any]], Callable[..., Any]]"


class Span(NamedTuple):
    """What part of history is asked about; the arguments every method of a session takes."""

    exchange: list[str] | None
    since: str | None
    until: str | None
    as_of: str | None

    @property
    def arguments(self) -> dict[str, Any]:
        """The span as keyword arguments of a session's methods."""
        return self._asdict()


class Output(NamedTuple):
    """Where an answer goes."""

    as_json: bool
    out: Path | None


def _folder(_context: click.Context, _option: click.Parameter, text: str | None) -> Path | None:
    if text == "":
        raise click.BadParameter("name a folder")
    return None if text is None else Path(text)


def store(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--store``."""
    return click.option(
        "--store",
        metavar="DIR",
        callback=_folder,
        help="The store's folder (else PLIMSOLL_STORE, else the user's data folder).",
    )(command)


def fit(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--fit``."""
    words = "Fit the leverage mix to the liquidations stored, and say how sure the map is."
    return click.option("--fit", is_flag=True, help=words)(command)


def measured(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--measured``."""
    words = "Take distances measured from wallets' positions."
    return click.option("--measured", is_flag=True, help=words)(command)


def leverage(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--leverage``."""
    words = "Only tiers of these leverages, or ranges of them: 25,50 or 10-25."
    return click.option("--leverage", metavar="LIST", help=words)(command)


def as_json(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--json``."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print one JSON document; times in UTC."
    )(command)


def _suffix(_context: click.Context, _option: click.Parameter, path: Path | None) -> Path | None:
    if path is not None and path.suffix not in SUFFIXES:
        raise click.BadParameter(f"{path.name} must end in {', '.join(SUFFIXES)}")
    return path


def output(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--json`` and ``--out``, given to the command as one `Output`."""
    option = click.option(
        "--out",
        type=click.Path(path_type=Path, dir_okay=False),
        callback=_suffix,
        help="Write the answer to FILE.csv, .parquet, .json or .png.",
    )

    def gathered(*args: Any, as_json: bool, out: Path | None, **rest: Any) -> Any:
        return command(*args, output=Output(as_json, out), **rest)

    gathered.__doc__ = command.__doc__
    gathered.__name__ = command.__name__
    gathered.__dict__.update(command.__dict__)
    return as_json(option(gathered))


def span(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--exchange``, ``--since``, ``--until`` and ``--as-of``, given as one `Span`."""
    options = [
        click.option("--exchange", multiple=True, help="Only this exchange (repeatable)."),
        click.option("--since", help="From this time on: 2026-01-15, 2026-01-15T08:00Z, or 7d."),
        click.option("--until", help="Before this time."),
        click.option("--as-of", help="With what was known by then."),
    ]

    def gathered(
        *args: Any,
        exchange: tuple[str, ...],
        since: str | None,
        until: str | None,
        as_of: str | None,
        **rest: Any,
    ) -> Any:
        return command(*args, span=Span(list(exchange) or None, since, until, as_of), **rest)

    gathered.__doc__ = command.__doc__
    gathered.__name__ = command.__name__
    gathered.__dict__.update(command.__dict__)
    wrapped: Callable[..., Any] = gathered
    for option in reversed(options):
        wrapped = option(wrapped)
    return wrapped
