"""The page in a browser: frames a second with the map and without, the first paint, its size."""

from __future__ import annotations

import asyncio
import gzip
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from time import perf_counter
from typing import TYPE_CHECKING, Any

from playwright.sync_api import sync_playwright

import plimsoll
from benchmarks.measure import spread, versus
from plimsoll.server.running import Running

if TYPE_CHECKING:
    from playwright.sync_api import Page

__all__ = ["CHROMIUM", "FLAGS", "READY", "built", "run"]

CHROMIUM = "/usr/bin/chromium"
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")
DAYS, RANGE, REPEATS = 35, "30d", 5
READY = '.panel[data-state="ready"]:not([aria-busy])'
MOVE = """async () => {
    const canvas = document.querySelectorAll('.chart-host canvas')[1];
    const box = canvas.getBoundingClientRect();
    const at = {clientX: box.left + box.width / 2, clientY: box.top + 100, bubbles: true};
    const frame = () => new Promise(requestAnimationFrame);
    const start = performance.now();
    for (let step = 0; step < 120; step++) {
        const deltaY = step % 60 < 30 ? -40 : 40;
        const deltaX = step % 20 < 10 ? 30 : -30;
        canvas.dispatchEvent(new WheelEvent('wheel', {...at, deltaX, deltaY, cancelable: true}));
        await frame();
    }
    return 120_000 / (performance.now() - start);
}"""
"""Zoom and move once a frame, and return frames a second."""


def run() -> dict[str, object]:
    """Serve a simulated month, and move its chart with the map under it and without."""
    built()
    with TemporaryDirectory() as folder:
        session = plimsoll.open(folder)
        session.simulate("crash", coins=("BTC",), days=DAYS)
        running = Running(session)
        thread = Thread(target=lambda: asyncio.run(running.serve()))
        thread.start()
        try:
            figures = _browse(f"{running.url}?view=symbol&symbol=BTC&range={RANGE}")
        finally:
            running.stop()
            thread.join()
    return {
        "compared": f"moving {RANGE} of a simulated market with the map under it, against the "
        "same chart without, turn about; software rendering",
        **figures,
        "script_gzip_kb": round(_script() / 1024, 1),
    }


def built() -> None:
    """End with a sentence where there is no page, rather than wait for it."""
    if find_spec("plimsoll_ui") is None:
        raise SystemExit("the page is not built into this installation; build it with: uv sync")


def _browse(url: str) -> dict[str, Any]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        _opened(page, url)  # warms the server
        paints = [_opened(page, url) for _ in range(REPEATS)]
        with_map, without = [], []
        for _ in range(REPEATS):
            with_map.append(page.evaluate(MOVE))
            page.keyboard.press("m")
            without.append(page.evaluate(MOVE))
            page.keyboard.press("m")
        browser.close()
    return {
        "frames_with_map": spread(with_map, 1),
        "frames_without": spread(without, 1),
        "ratio": versus(with_map, without),
        "first_paint_seconds": spread(paints, 2),
    }


def _opened(page: Page, url: str) -> float:
    """Return the seconds from asking for the page to its map, all panes and clusters drawn."""
    start = perf_counter()
    page.goto(url)
    page.wait_for_selector(READY, timeout=120_000)
    return perf_counter() - start


def _script() -> int:
    """Return the bytes of the page's script, compressed."""
    assets = Path(str(files("plimsoll_ui") / "assets"))
    return sum(len(gzip.compress(path.read_bytes())) for path in assets.glob("*.js"))
