"""Run one benchmark: ``python -m benchmarks NAME`` prints one JSON document."""

from __future__ import annotations

import json
import sys
from importlib import import_module

from benchmarks.measure import machine

BENCHMARKS = {
    "import": "benchmarks.importing",
    "journal": "benchmarks.journal",
    "month": "benchmarks.month",
    "consensus": "benchmarks.consensus",
    "options": "benchmarks.options",
    "fit": "benchmarks.fitting",
    "glance": "benchmarks.glance",
    "heatmap": "benchmarks.heatmap",
    "page": "benchmarks.page",
    "recording": "benchmarks.recording",
    "recovery": "benchmarks.recovery",
    "score": "benchmarks.score",
    "server": "benchmarks.server",
    "soak": "benchmarks.soak",
    "simulation": "benchmarks.simulation",
    "volatility": "benchmarks.volatility",
}
"""Each benchmark's module, whose ``run()`` returns its figures; imported on first use."""


def main(arguments: list[str]) -> int:
    """Run the benchmark named, or list them."""
    if len(arguments) != 1 or arguments[0] not in BENCHMARKS:
        print(f"usage: python -m benchmarks NAME, where NAME is one of {', '.join(BENCHMARKS)}")
        return 2 if arguments else 0
    figures = import_module(BENCHMARKS[arguments[0]]).run()
    print(json.dumps({"benchmark": arguments[0], **figures, "machine": machine()}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
