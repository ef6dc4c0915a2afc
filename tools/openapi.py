"""Write what the page knows of the API: `ui/openapi.json`, of which its types are made.

It has each question with its parameters; answers come in binary columns and need no types. After
it run ``npm --prefix ui run types``. With ``--check`` it only says whether the file is stale, and
leaves with 1 if it is.
"""

from __future__ import annotations

import argparse
import inspect
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plimsoll import session
from plimsoll.server.app import create_app

if TYPE_CHECKING:
    from collections.abc import Sequence

FILE = Path(__file__).resolve().parents[1] / "ui" / "openapi.json"


def document() -> dict[str, Any]:
    """Return the questions of the API."""
    whole = create_app(session.open(Path("nothing-stored"))).openapi()
    paths = {
        path: _asked(methods["get"]) for path, methods in whole["paths"].items() if "get" in methods
    }
    return {"openapi": whole["openapi"], "info": whole["info"], "paths": paths}


def _asked(operation: dict[str, Any]) -> dict[str, Any]:
    kept = {name: operation[name] for name in ("summary", "parameters") if name in operation}
    return {"get": {**kept, "responses": {"200": {"description": "The answer, as columns."}}}}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the file, or say whether it is stale; return the exit code."""
    parser = argparse.ArgumentParser(description=inspect.cleandoc(__doc__ or ""))
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if it is stale")
    check = parser.parse_args(arguments).check
    text = json.dumps(document(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    if FILE.is_file() and FILE.read_text(encoding="utf-8") == text:
        return 0
    if not check:
        FILE.write_text(text, encoding="utf-8")
    verb = "is stale: run python tools/openapi.py" if check else "written"
    sys.stdout.write(f"ui/openapi.json {verb}\n")
    return int(check)


if __name__ == "__main__":
    sys.exit(main())
