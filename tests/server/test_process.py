"""`plimsoll serve` in a process of its own: killed, started again, asked badly."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx

from fakes.client import stream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plimsoll.session import Session

MIB = 1024 * 1024


@contextmanager
def serving(session: Session, *words: str, port: int = 0) -> Iterator[tuple[str, str, int]]:
    """Run `plimsoll serve`; give its address, its token, and its process."""
    command = [sys.executable, "-m", "plimsoll", "serve", "--port", str(port), *words]
    run = subprocess.Popen(
        [*command, "--store", str(session.path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert run.stdout is not None
    said: dict[str, str] = {}
    while "store" not in said:
        name, _, value = run.stdout.readline().partition(": ")
        said[name] = value.strip()
    url = said["the page"].replace("0.0.0.0", "127.0.0.1")  # noqa: S104
    try:
        answers(url)
        yield url, said.get("the token, shown once", ""), run.pid
    finally:
        run.send_signal(signal.SIGINT)
        rest, errors = run.communicate(timeout=60)
        if run.returncode != -signal.SIGKILL:
            assert (run.returncode, errors) == (0, "")
            assert rest.endswith("stopped\n")


def answers(url: str) -> None:
    """Wait until a server answers."""
    until = time.monotonic() + 60
    while True:
        try:
            httpx.get(f"{url}healthz")
        except httpx.TransportError:
            assert time.monotonic() < until
            time.sleep(0.05)
        else:
            return


def resident(pid: int) -> int:
    """Return the bytes of memory that a process holds."""
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_it_is_killed_and_started_again_and_clients_go_on(simulated: Session) -> None:
    async def hear(url: str) -> dict:
        async with stream(url) as heard:
            await heard.say("subscribe", "funding", "SOL/USDT:USDT")
            return await heard.hear("snapshot")

    with serving(simulated) as (url, _, pid):
        before, told = httpx.get(f"{url}api/v1/funding?symbol=SOL"), asyncio.run(hear(url))
        os.kill(pid, signal.SIGKILL)
    port = int(url.rstrip("/").rsplit(":", 1)[1])
    with serving(simulated, port=port) as (again, _, _):
        assert again == url
        tag = {"If-None-Match": before.headers["etag"]}
        assert httpx.get(f"{url}api/v1/funding?symbol=SOL", headers=tag).status_code == 304
        assert asyncio.run(hear(url)) == told


def test_where_others_can_reach_it_a_token_is_made_and_needed(simulated: Session) -> None:
    with serving(simulated, "--host", "0.0.0.0") as (url, token, _):  # noqa: S104
        assert len(token) >= 32
        assert httpx.get(f"{url}api/v1/about").status_code == 401
        known = {"Authorization": f"Bearer {token}"}
        assert httpx.get(f"{url}api/v1/about", headers=known).status_code == 200


def test_a_port_in_use_is_named(simulated: Session) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        words = ["serve", "--port", port, "--store", str(simulated.path)]
        done = subprocess.run(
            [sys.executable, "-m", "plimsoll", *words], capture_output=True, text=True, check=False
        )
    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1 port {port}" in done.stderr


def raw(url: str, request: bytes) -> bytes:
    """Send bytes as they are, and return the head of the answer."""
    host, port = url.removeprefix("http://").rstrip("/").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as one:
        try:
            one.sendall(request)
            return one.recv(4_096)
        except (ConnectionResetError, BrokenPipeError):
            return b""


OUT = (
    b"GET /../../../../etc/passwd HTTP/1.1",
    b"GET //etc/passwd HTTP/1.1",
    b"GET /..%2f..%2f..%2fetc/passwd HTTP/1.1",
    b"GET /%00 HTTP/1.1",
)


def test_no_path_leads_out_of_the_page(simulated: Session) -> None:
    with serving(simulated) as (url, _, _):
        for line in OUT:
            answer = raw(url, line + b"\r\nHost: localhost\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 4"), line
            assert b"root:" not in answer


def test_bad_clients_cost_no_memory_and_the_others_nothing(simulated: Session) -> None:
    with serving(simulated) as (url, _, pid):
        good = f"{url}api/v1/open-interest?symbol=SOL"
        expected = httpx.get(good).content
        wide = {"symbol": "SOL", "since": "2001-01-01", "until": "2190-01-01", "interval": "1s"}
        httpx.get(f"{url}api/v1/overview", timeout=120).raise_for_status()  # as at its start
        held = resident(pid)
        with httpx.Client(base_url=f"{url}api/v1/") as bad:
            for number in range(300):
                asked = {**wide, "rows": number + 2}
                assert bad.get("heatmap", params=asked).status_code in {413, 429}
                script = {"symbol": f"<script>{number}" + "/x" * 30}
                assert bad.get("open-interest", params=script).status_code in {422, 429}
        time.sleep(1)
        raw(url, b"GET /" + b"a" * (4 * MIB) + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
        raw(url, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * (4 * MIB) + b"\r\n\r\n")
        assert httpx.get(good).content == expected
        assert resident(pid) - held < 32 * MIB
