"""A server that others can reach: the page asks for its token, and keeps it to itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from ui.conftest import Opened, Served

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, BrowserContext, WebSocket

TOKEN = "seven-lanterns-on-the-quay"  # noqa: S105 (of this test alone)


@pytest.fixture
def guarded(served: Served) -> Iterator[Served]:
    server = Served(served.session, served.made, TOKEN)
    yield server
    if server.process.poll() is None:
        server.kill()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(viewport={"width": 1440, "height": 900})
    yield made
    made.close()


def sign_in(opened: Opened, token: str) -> None:
    opened.page.get_by_label("Token", exact=True).fill(token)
    opened.page.get_by_role("button", name="Sign in").click()


def test_the_page_asks_for_the_token_and_tells_it_to_nobody(
    guarded: Served, context: BrowserContext
) -> None:
    opened, asked, heard = Opened(context.new_page(), guarded.url), [], []
    page = opened.page
    page.on("request", lambda request: asked.append(request.url))

    def listen(socket: WebSocket) -> None:
        asked.append(socket.url)
        socket.on("framereceived", lambda frame: heard.append(json.loads(frame)["type"]))

    page.on("websocket", listen)
    page.goto(guarded.url)
    page.wait_for_selector("dialog.sign-in[open]")
    assert page.locator(".panel").count() == 0  # nothing is shown before

    sign_in(opened, "not-the-token")
    page.get_by_text("That is not this server's token.").wait_for()
    assert heard == []

    sign_in(opened, TOKEN)
    page.wait_for_selector("dialog.sign-in", state="detached")
    opened.settle()
    assert page.locator(".panel[data-state=ready]").count() >= 1
    page.wait_for_selector(".fresh[data-state=live]")
    for _ in range(100):
        if "beat" in heard:
            break
        page.wait_for_timeout(100)
    assert "beat" in heard  # the stream takes it too

    page.reload()
    opened.settle()
    assert page.locator("dialog.sign-in").count() == 0  # it is remembered
    (cookie,) = context.cookies()
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
    kept = page.evaluate("JSON.stringify(localStorage) + document.cookie + location.href")
    assert TOKEN not in kept
    assert all(TOKEN not in url for url in asked)
    assert TOKEN not in guarded.kill()
    refused = [line for line in opened.said if not line.startswith(("401 ", "error: Failed"))]
    assert refused == []


def test_another_browser_is_asked_as_well(
    guarded: Served, context: BrowserContext, browser: Browser
) -> None:
    opened = Opened(context.new_page(), guarded.url)
    opened.page.goto(guarded.url)
    sign_in(opened, TOKEN)
    opened.settle()
    other = browser.new_context()
    page = other.new_page()
    page.goto(guarded.url)
    page.wait_for_selector("dialog.sign-in[open]")
    assert page.evaluate("fetch('/api/v1/status').then((one) => one.status)") == 401
    other.close()


def test_a_server_that_comes_back_with_another_token_asks_for_it(
    guarded: Served, context: BrowserContext
) -> None:
    opened = Opened(context.new_page(), guarded.url)
    page = opened.page
    page.goto(guarded.url)
    sign_in(opened, TOKEN)
    opened.settle()
    guarded.kill()
    page.wait_for_selector(".banner:not([hidden])")
    guarded.token = "eight-lanterns"  # noqa: S105 (likewise)
    guarded.start()
    page.wait_for_selector("dialog.sign-in[open]")
    sign_in(opened, guarded.token)
    page.wait_for_selector("dialog.sign-in", state="detached")
    page.wait_for_selector(".banner", state="hidden")
    page.wait_for_selector(".fresh[data-state=live]")
