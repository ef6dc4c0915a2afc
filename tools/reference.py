"""Write the pages of the reference that are read off the code.

Run without arguments it writes them; with ``--check`` it only says which are stale, and leaves
with 1 if any is.
"""

from __future__ import annotations

import argparse
import inspect
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click
import polars as pl

from plimsoll.archives import FORMATS
from plimsoll.cli import COMMANDS, plimsoll
from plimsoll.exchanges import EXCHANGES
from plimsoll.market.events import EVENTS
from plimsoll.market.schema import TABLES, TIME
from plimsoll.session import offers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from plimsoll.market.schema import Column, Table

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "reference"
_WORDS = {TIME: "time", pl.Float64(): "float", pl.Int64(): "integer", pl.String(): "text"}
_COMMON = ("exchange", "symbol", "time", "received", "known_at")
_MADE = "<!-- Written by tools/reference.py; change the code, not this page. -->"


def tables() -> Iterator[str]:
    """Yield the lines of the page on tables."""
    yield from (_MADE, "", "# Tables", "")
    yield (
        "Each kind of fact is one table, in SQL, in `Session.read` and in `plimsoll export`. "
        "Unknown is null, never zero. A row that breaks a rule is rejected on import, with its "
        "line and the reason. A `share` lies from 0 to 1."
    )
    yield from ("", "## Columns of every table", "")
    first = next(iter(TABLES.values()))
    yield from _grid(column for column in first.columns if column.name in _COMMON)
    yield ""
    yield "`time` is the exchange's clock, `received` that of whoever recorded it, and `known_at`"
    yield "the moment the fact could first be known: the later of the two where no source says."
    for kind, table in TABLES.items():
        yield from _table(kind, table)


def _table(kind: str, table: Table) -> Iterator[str]:
    yield from ("", f"## {kind}", "", inspect.cleandoc(EVENTS[kind].__doc__ or ""), "")
    yield from _grid(column for column in table.columns if column.name not in _COMMON)
    yield from ("", f"One fact for each {', '.join(f'`{name}`' for name in table.key)}.")
    if table.snap is not None:
        yield (
            f"Where `{table.snap.column}` is `{table.snap.value}`, times that round to the same "
            f"{table.snap.every} count as one."
        )


def _grid(columns: Iterator[Column]) -> Iterator[str]:
    yield "| column | type | unit | rule | |"
    yield "|---|---|---|---|---|"
    for column in columns:
        cells = (f"`{column.name}`", _WORDS[column.dtype], column.unit, _rule(column))
        yield f"| {' | '.join(cells)} | {column.description} |"


def _rule(column: Column) -> str:
    words = ["required"] if column.required and column.default is None else []
    words += [" or ".join(f"`{word}`" for word in column.choices)] if column.choices else []
    words += [column.rule] if column.rule not in {"", "time"} else []
    words += [f"`{column.default}` if left out"] if column.default is not None else []
    return ", ".join(words)


def formats() -> Iterator[str]:
    """Yield the lines of the page on archive formats."""
    yield from (_MADE, "", "# Archive formats", "")
    yield "The format of a file is found by its content and name, in this order."
    for name in FORMATS:
        module = import_module(f"plimsoll.archives.{name}")
        about = inspect.cleandoc(module.__doc__ or "").split("\nReferences\n")[0].strip()
        yield from ("", f"## {module.NAME}", "", f"**Accepts** {module.ACCEPTS}.", "", about)


def commands() -> Iterator[str]:
    """Yield the lines of the page on the command line."""
    context = click.Context(plimsoll, info_name="plimsoll")
    yield from (_MADE, "", "# Command line", "", plimsoll.help or "", "")
    yield f"{plimsoll.epilog}"
    for name in COMMANDS:
        command = plimsoll.get_command(context, name)
        if command is not None:
            yield from _command(command, click.Context(command, info_name=name, parent=context))


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    pieces = " ".join(command.collect_usage_pieces(context))
    yield from ("", f"## {context.command_path}", "")
    yield from ("```text", f"{context.command_path} {pieces}", "```", "")
    yield from (inspect.cleandoc(command.help or ""), "")
    for option in command.params:
        words, meaning = option.get_help_record(context) or ("", "")
        if meaning:
            yield f"- `{words}` – {' '.join(meaning.split())}"
    if isinstance(command, click.Group):
        for name, part in command.commands.items():
            yield from _command(part, click.Context(part, info_name=name, parent=context))


def exchanges() -> Iterator[str]:
    """Yield the lines of the page on exchanges."""
    yield from (_MADE, "", "# Exchanges", "")
    yield (
        "What each exchange publishes without a key, and how it is had. *Checked* says whether its "
        "translation was held against recorded messages or against documentation only; none was "
        "tried on a live exchange."
    )
    rows = offers()
    for name in EXCHANGES:
        about = inspect.cleandoc(import_module(EXCHANGES[name]).__doc__ or "")
        yield from ("", f"## {name}", "", about, "")
        yield "| kind | stream | asked every | history | completeness | checked | |"
        yield "|---|---|---|---|---|---|---|"
        for row in (row for row in rows if row["exchange"] == name):
            every = "" if row["poll"] is None else f"{row['poll']:g} s"
            stream = "yes" if row["stream"] else ""
            cells = (row["kind"], stream, every, row["history"] or "", row["completeness"])
            yield f"| {' | '.join(cells)} | {row['checked']} | {row['note']} |"


PAGES = {"exchanges.md": exchanges, "tables.md": tables, "formats.md": formats, "cli.md": commands}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the pages, or say which are stale; return the exit code."""
    parser = argparse.ArgumentParser(description=inspect.cleandoc(__doc__ or ""))
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if a page is stale")
    check = parser.parse_args(arguments).check
    stale = 0
    for name, page in PAGES.items():
        path, text = FOLDER / name, "\n".join(page()) + "\n"
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        stale += 1
        if not check:
            path.write_text(text, encoding="utf-8")
        verb = "is stale: run python tools/reference.py" if check else "written"
        sys.stdout.write(f"docs/reference/{name} {verb}\n")
    return int(check and stale > 0)


if __name__ == "__main__":
    sys.exit(main())
