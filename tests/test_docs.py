"""What exists is documented, and what is documented runs."""

from __future__ import annotations

import inspect
import random
import re
import shlex
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

import plimsoll
from plimsoll import errors
from plimsoll.analytics.inventory import Parameters
from plimsoll.archives import FORMATS
from plimsoll.cli import COMMANDS
from plimsoll.exchanges import EXCHANGES, exchange
from plimsoll.market.schema import TABLES
from plimsoll.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
GENERATED = {"cli.md", "exchanges.md", "formats.md", "tables.md"}
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
START = datetime(2026, 1, 1, tzinfo=UTC)

_PYTHON = re.compile(
    r"(?P<skip><!-- not run: .+ -->\n)?^```python\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE
)


def written_by_hand() -> str:
    pages = (page for page in PAGES if page.name not in GENERATED)
    return "\n".join(page.read_text(encoding="utf-8") for page in pages)


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_the_generated_pages_are_current() -> None:
    check = subprocess.run(
        [sys.executable, "tools/reference.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert check.returncode == 0, check.stdout + check.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_reference_and_used_on_some_page(command: str) -> None:
    assert f"## plimsoll {command}\n" in page("reference/cli.md")
    assert re.search(rf"plimsoll {command}\b", written_by_hand())


@pytest.mark.parametrize("table", TABLES)
def test_every_column_of_every_table_is_in_the_reference(table: str) -> None:
    reference = page("reference/tables.md")
    start = reference.index(f"\n## {table}\n")
    section = reference[start:].split("\n## ", 2)[1]
    common = reference.split("\n## ")[1]
    for column in TABLES[table].schema:
        assert f"| `{column}` |" in section + common


@pytest.mark.parametrize("module", FORMATS)
def test_every_format_is_in_the_reference_and_in_the_guide(module: str) -> None:
    name = import_module(f"plimsoll.archives.{module}").NAME
    assert f"## {name}\n" in page("reference/formats.md")
    assert f"| `{name}` |" in page("guide/import.md")


@pytest.mark.parametrize("name", EXCHANGES)
def test_every_exchange_and_kind_is_in_the_reference(name: str) -> None:
    section = page("reference/exchanges.md").split(f"\n## {name}\n")[1].split("\n## ")[0]
    for kind in exchange(name).offers:
        assert f"| {kind} |" in section


def test_every_method_of_a_session_and_no_other_is_in_the_reference() -> None:
    public = {name for name in dir(Session) if not name.startswith("_")}
    listed = set(re.findall(r"^ +- (\w+)$", page("reference/python.md"), re.MULTILINE))
    assert listed == public


def test_every_method_of_a_session_says_what_it_is() -> None:
    methods = [getattr(Session, name) for name in dir(Session) if not name.startswith("_")]
    assert [method.__name__ for method in methods if not inspect.getdoc(method)] == []


def test_every_public_name_and_every_error_is_in_the_reference() -> None:
    reference = page("reference/python.md")
    missing = [name for name in plimsoll.__all__ if name not in reference]
    missing += [name for name in errors.__all__ if not re.search(rf"\b{name}\b", reference)]
    assert missing == []


def test_the_page_on_the_heat_map_states_every_prior() -> None:
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\| ([^|]*) \|", page("theory/heatmap.md"), re.MULTILINE)
    assert dict(rows) == {name: _plain(value) for name, value in _defaults().items()}


def _defaults() -> dict[str, object]:
    priors = Parameters()
    return {name: getattr(priors, name) for name in Parameters.__struct_fields__}


def _plain(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(_plain(item) for item in value)
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def test_the_page_on_the_architecture_names_every_module() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    modules = {path.name for path in (ROOT / "src").rglob("*.py") if path.name[0] != "_"}
    assert [name for name in sorted(modules) if name not in text] == []


def console_lines() -> Iterator[tuple[str, str]]:
    for path in PAGES:
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("$ plimsoll "):
                yield name_of(path), line.removeprefix("$ plimsoll ")


@pytest.mark.parametrize(("where", "line"), list(console_lines()))
def test_every_command_line_shown_names_a_command_and_its_options(where: str, line: str) -> None:
    command, *words = shlex.split(line)
    assert command in COMMANDS, where
    module, name = COMMANDS[command][0].split(":")
    named = getattr(import_module(module), name)
    if isinstance(named, click.Group):
        named = named.commands[words[0]]
    known = {o for p in named.params for o in p.opts}
    assert {word for word in words if word.startswith("--")} <= known, where


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four days of a made-up market on two exchanges, imported from tidy files."""
    folder = tmp_path_factory.mktemp("market")
    draw = random.Random(1)
    for venue in ("binance", "bybit"):
        write_exchange(folder, venue, draw)
    write_spot_and_future(folder)
    report = plimsoll.open(folder / "store").import_files(sorted(folder.glob("*.csv")))
    assert {outcome.status for outcome in report.outcomes} == {"imported"}
    return folder / "store"


def write_exchange(folder: Path, exchange: str, draw: random.Random) -> None:
    names = f"{exchange},BTC/USDT:USDT"
    candles = ["time,exchange,symbol,interval,open,high,low,close,volume,taker_buy_volume"]
    interest = ["time,exchange,symbol,amount,value_usd"]
    funding = ["time,exchange,symbol,rate"]
    price, held = 90_000.0, 80_000.0
    for step in range(4 * 288):
        time = START + timedelta(minutes=5 * step)
        last, price = price, round(price * (1 + draw.gauss(0, 0.001)), 1)
        held = round(held + draw.gauss(0, 50), 3)
        high, low = max(last, price) + 10, min(last, price) - 10
        candles.append(
            f"{time.isoformat()},{names},300,{last},{high:.1f},{low:.1f},{price},500,250"
        )
        end = (time + timedelta(minutes=5)).isoformat()
        interest.append(f"{end},{names},{held},{held * price:.2f}")
        if step % 96 == 0:
            funding.append(f"{time.isoformat()},{names},{draw.gauss(1e-4, 1e-4):.8f}")
    for kind, lines in {"candle": candles, "open_interest": interest, "funding": funding}.items():
        (folder / f"{exchange}_{kind}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_spot_and_future(folder: Path) -> None:
    lines = ["time,exchange,symbol,interval,open,high,low,close,volume"]
    for symbol, price in (("BTC/USDT", 90_000), ("BTC/USDT:USDT-260327", 91_000)):
        for hour in range(96):
            time = (START + timedelta(hours=hour)).isoformat()
            lines.append(f"{time},binance,{symbol},3600,{price},{price},{price},{price},9")
    (folder / "spot_candle.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def blocks(path: Path) -> Iterator[CodeType]:
    text = path.read_text(encoding="utf-8")
    for match in _PYTHON.finditer(text):
        if match["skip"]:
            continue
        above = text[: match.start("code")].count("\n")
        yield compile("\n" * above + match["code"], name_of(path), "exec")


@pytest.mark.parametrize("path", [p for p in PAGES if any(blocks(p))], ids=name_of)
def test_every_python_block_of_a_page_runs(
    path: Path, market: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLIMSOLL_STORE", str(market))
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": name_of(path)}
    for code in blocks(path):
        exec(code, names)  # noqa: S102 (our own docs)
