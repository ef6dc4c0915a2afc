"""Whether the server lives, and what it did: for those who watch it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fastapi import APIRouter, Response

from plimsoll.server.forms import JSON, text

if TYPE_CHECKING:
    from plimsoll.server.hub import Hub
    from plimsoll.server.service import Service

__all__ = ["router"]


def router(service: Service, hub: Hub) -> APIRouter:
    """Return the routes ``/healthz`` and ``/metrics``."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/healthz")
    async def health() -> Response:
        """Say that the server answers, and whether there is a store."""
        stored = service.layout.exists()
        body = {"status": "ok" if stored else "no store", "since": service.began}
        return Response(text(body), media_type=JSON, headers={"Cache-Control": "no-store"})

    @routes.get("/metrics")
    async def metrics() -> Response:
        return Response(exposition(service, hub), media_type="text/plain; version=0.0.4")

    return routes


def exposition(service: Service, hub: Hub) -> str:
    """Return what was counted, in Prometheus' text format."""
    desk = service.desk
    running = (datetime.now(tz=UTC) - service.began).total_seconds()
    figures = {
        "plimsoll_server_seconds": ("gauge", "How long the server runs.", running),
        "plimsoll_server_answers_made_total": ("counter", "Answers computed.", desk.answered),
        "plimsoll_server_answers_kept_total": ("counter", "Answers given again.", desk.reused),
        "plimsoll_server_answers_waiting": ("gauge", "Questions being answered.", desk.waiting),
        "plimsoll_server_answers_bytes": ("gauge", "Bytes of answers kept.", desk.held),
        "plimsoll_server_streams": ("gauge", "Streams open.", hub.streams.total()),
        "plimsoll_server_subjects": ("gauge", "Subjects listened to.", hub.topics),
        "plimsoll_server_messages_total": ("counter", "Messages streamed.", hub.sent),
        "plimsoll_server_slow_total": ("counter", "Streams dropped as too slow.", hub.dropped),
    }
    lines = []
    for name, (kind, words, value) in figures.items():
        lines += [f"# HELP {name} {words}", f"# TYPE {name} {kind}", f"{name} {value:g}"]
    return "\n".join(lines) + "\n"
