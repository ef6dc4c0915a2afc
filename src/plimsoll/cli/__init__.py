"""The command line: words in, words, JSON and pictures out."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING

import click

from plimsoll.errors import ExchangeError, NoSuchData, PlimsollError, StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["COMMANDS", "main"]

COMMANDS = {
    "demo": ("plimsoll.cli.demo:demo", "Show it all at work on a simulated market."),
    "serve": ("plimsoll.cli.serve:serve", "Serve the page, and its numbers over HTTP."),
    "record": ("plimsoll.cli.live:record", "Record what exchanges publish, as it happens."),
    "backfill": ("plimsoll.cli.live:backfill", "Bring an exchange's history into the store."),
    "exchanges": ("plimsoll.cli.live:exchanges", "Show what each exchange publishes."),
    "doctor": ("plimsoll.cli.live:doctor", "Check what can be reached from here."),
    "import": ("plimsoll.cli.data:import_", "Bring published files into the store."),
    "status": ("plimsoll.cli.data:status", "Show what is stored since when, and what is missing."),
    "audit": ("plimsoll.cli.data:audit", "Check every stored file against what was sealed."),
    "overview": ("plimsoll.cli.overview:overview", "Show the load on the market at a glance."),
    "show": ("plimsoll.cli.show:show", "Show the load on one market at a glance."),
    "open-interest": ("plimsoll.cli.interest:open_interest", "Open interest over exchanges."),
    "consensus": ("plimsoll.cli.interest:consensus", "Whose open interest can be believed."),
    "quadrant": ("plimsoll.cli.interest:quadrant", "Does open interest confirm the price?"),
    "entries": ("plimsoll.cli.interest:entries", "At which prices it was entered."),
    "positioning": ("plimsoll.cli.crowd:positioning", "Which side is crowded, and by what."),
    "flow": ("plimsoll.cli.crowd:flow", "What takers bought and sold."),
    "funding": ("plimsoll.cli.carry:funding", "What leverage costs, and for how long."),
    "basis": ("plimsoll.cli.carry:basis", "What dated futures pay over spot."),
    "fair-value": ("plimsoll.cli.carry:fair_value", "What perpetuals would be worth."),
    "carry": ("plimsoll.cli.carry:carry", "What carry has earned, net of fees."),
    "options": ("plimsoll.cli.options:options", "What options say, and what they hold."),
    "liquidations": (
        "plimsoll.cli.liquidations:liquidations",
        "What was closed by force, and in bursts.",
    ),
    "macro": ("plimsoll.cli.macro:macro", "Stablecoins, chains, and regulated futures."),
    "heatmap": ("plimsoll.cli.heatmap:heatmap", "Where leveraged positions would be liquidated."),
    "clusters": ("plimsoll.cli.heatmap:clusters", "Where they would be closest together."),
    "leverage": ("plimsoll.cli.score:leverage", "Which leverage liquidations tell of."),
    "measured": ("plimsoll.cli.score:measured", "Where wallets' positions really stand."),
    "score": ("plimsoll.cli.score:score", "How far a map can be trusted."),
    "simulate": ("plimsoll.cli.demo:simulate", "Write a simulated market and its truth."),
    "sql": ("plimsoll.cli.data:sql", "Ask the tables in SQL."),
    "export": ("plimsoll.cli.data:export", "Write the rows of one table to a file."),
}
"""Each command, where it is, and what it does; nothing is imported before it is used."""

_EXIT = ((NoSuchData, 3), (ExchangeError, 4), (StoreError, 5))


class _Lazy(click.Group):
    """A group whose commands are imported on first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name][0].split(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, words) for name, (_, words) in COMMANDS.items()])


@click.group(
    cls=_Lazy,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 2 usage or unreadable input, 3 no such data, "
    "4 exchange or network, 5 damaged or unusable store.",
)
@click.version_option(package_name="plimsoll")
def plimsoll() -> None:
    """Show how heavily the crypto derivatives market is loaded, and where it would break."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and leave with its exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        What follows the program's name; from the command line if left out.
    """
    try:
        plimsoll.main(arguments, prog_name="plimsoll", standalone_mode=False)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped; everything acknowledged before is safe", err=True)
        sys.exit(130)
    except BrokenPipeError:
        _leave_quietly()
    except (PlimsollError, ValueError, OverflowError, OSError) as error:
        click.echo(f"plimsoll: {error}", err=True)
        sys.exit(_exit_code(error))
    try:
        if sys.stdout is not None:  # a program without a console has none
            sys.stdout.flush()
    except BrokenPipeError:
        _leave_quietly()
    except OSError as error:
        click.echo(f"plimsoll: cannot write the answer ({error.strerror})", err=True)
        os._exit(2)  # the interpreter would try once more to write what is left


def _leave_quietly() -> None:
    """Whoever read the answer has seen enough."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(0)


def _exit_code(error: Exception) -> int:
    return next((code for kind, code in _EXIT if isinstance(error, kind)), 2)
