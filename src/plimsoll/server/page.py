"""The page that shows it all: static files of the package `plimsoll_ui`."""

from __future__ import annotations

import mimetypes
from importlib.resources import files
from typing import TYPE_CHECKING

from fastapi import APIRouter, Response

from plimsoll.server.problems import Problem

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

__all__ = ["ABSENT", "router"]

PACKAGE = "plimsoll_ui"
ABSENT = (
    "The page was not built into this installation; build it with: uv sync (without "
    "PLIMSOLL_SKIP_UI), then start plimsoll serve again. The API is at /api/v1/openapi.json.\n"
)
_FOREVER = "public, max-age=31536000, immutable"
_LONGEST = 100
_TYPES = {".js": "text/javascript", ".woff2": "font/woff2", ".map": "application/json"}


def router() -> APIRouter:
    """Return the routes of the page."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/")
    async def index() -> Response:
        found = _file(("index.html",))
        if found is None:
            return Response(ABSENT, media_type="text/plain; charset=utf-8")
        return _sent("index.html", found, "no-cache")

    @routes.get("/{path:path}")
    async def asset(path: str) -> Response:
        parts = tuple(path.split("/"))
        found = _file(parts)
        if found is None:
            detail = "the page is at /, and /api/v1/openapi.json says what can be asked"
            raise Problem(404, "not-found", "Not found", detail)
        return _sent(parts[-1], found, _FOREVER if parts[0] == "assets" else "no-cache")

    return routes


def _file(parts: tuple[str, ...]) -> Traversable | None:
    """Return a file of the package, going down from its root by plain names only."""
    try:
        place: Traversable = files(PACKAGE)
    except ModuleNotFoundError:
        return None
    if max(map(len, parts)) > _LONGEST:
        return None
    for part in parts:
        if part in {"", ".", ".."} or part.startswith(".") or set(part) & set("\\:\x00"):
            return None
        place = place / part
        if not (place.is_dir() or place.is_file()):
            return None
    return place if place.is_file() and not parts[-1].endswith(".py") else None


def _sent(name: str, found: Traversable, kept: str) -> Response:
    kind = _TYPES.get(f".{name.rsplit('.', 1)[-1]}") or mimetypes.guess_type(name)[0]
    headers = {"Cache-Control": kept}
    return Response(
        found.read_bytes(), media_type=kind or "application/octet-stream", headers=headers
    )
