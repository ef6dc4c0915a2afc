from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import pytest

import plimsoll

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from plimsoll.session import Session
    from plimsoll.simulate import Simulated

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
EVERYWHERE = ["--host", "0.0.0.0"]  # noqa: S104 (with a token)
PATIENCE = 60_000
"""How long a page may take on a busy machine, milliseconds."""


class Served:
    """A server of a store in a process of its own, that can be killed and started again.

    With a token it listens to other machines too.
    """

    def __init__(self, session: Session, made: Simulated | None, token: str = "") -> None:
        self.session, self.made, self.port, self.token = session, made, 0, token
        self.start()

    def start(self) -> None:
        """Serve, on the same port as before."""
        words = ["serve", "--store", str(self.session.path), "--port", str(self.port)]
        secret = {"PLIMSOLL_TOKEN": self.token} if self.token else {}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "plimsoll", *words, *(EVERYWHERE if secret else [])],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **secret},
        )
        assert self.process.stdout is not None
        found = re.search(r"http://\S+:(\d+)/", self.process.stdout.readline())
        assert found is not None
        self.port = int(found[1])
        self.url = f"http://127.0.0.1:{self.port}/"

    def live(self, seconds: float) -> None:
        """Let the market go on for a while, and record it."""
        assert self.made is not None
        last = self.session.read("candle")["time"].max()
        self.made.simulation.skip(last + timedelta(minutes=1))
        recording = self.session.record(self.session.live(self.made, speed=600))

        def record() -> None:  # in a thread of its own: the browser has the loop of this one
            with contextlib.suppress(TimeoutError):
                asyncio.run(asyncio.wait_for(recording, seconds))

        thread = Thread(target=record)
        thread.start()
        thread.join()

    def kill(self) -> str:
        """End it as a power cut would, and return what it said."""
        self.process.send_signal(signal.SIGKILL)
        said, _ = self.process.communicate()
        return str(said)


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The browser; skipped where there is none, or no page to open in it."""
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.is_file():
        pytest.skip(f"no browser at {CHROMIUM}: apt-get install chromium")
    if find_spec("plimsoll_ui") is None:
        pytest.skip("the page is not built: uv sync without PLIMSOLL_SKIP_UI builds it")
    return CHROMIUM


@pytest.fixture(scope="module")  # while it is open, this thread has a loop that others must not see
def browser(chromium: Path) -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 (may not be installed)

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def served(chromium: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server of what a demonstration keeps: two coins, with options."""
    del chromium  # without one nothing need be served
    session = plimsoll.open(tmp_path_factory.mktemp("page") / "store")
    server = Served(session, session.simulate("crash", coins=("BTC", "SOL"), days=11))
    yield server
    server.kill()


class Opened:
    """A page, what it said on its console, and what it asked in vain."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url = page, url
        self.said: list[str] = []
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda one: self.said.append(f"{one.type}: {one.text}"))
        page.on("pageerror", lambda error: self.said.append(f"error: {error}"))
        page.on("response", self._answered)

    def _answered(self, response: object) -> None:
        status, url = response.status, response.url  # type: ignore[attr-defined]
        if status >= 400:
            self.said.append(f"{status} {url}")

    def go(self, query: str = "") -> Page:
        """Open the page, and wait until every panel shows something."""
        self.page.goto(self.url + query)
        self.settle()
        return self.page

    def settle(self) -> None:
        """Wait until nothing is being asked."""
        self.page.wait_for_selector(".panel")
        self.page.wait_for_function(
            "() => ![...document.querySelectorAll('.panel')].some((one) => "
            "one.ariaBusy === 'true' || (one.dataset.state ?? 'loading') === 'loading')"
        )


@pytest.fixture
def opened(browser: Browser, served: Served) -> Iterator[Opened]:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    yield Opened(context.new_page(), served.url)
    context.close()
