"""Show how heavily the crypto derivatives market is loaded, and where it would break.

>>> import plimsoll
>>> session = plimsoll.open("market")  # a folder; made when something is imported
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plimsoll.session import Session, open  # noqa: A004 (plimsoll.open)

__all__ = ["Session", "__version__", "open"]

__version__ = version("plimsoll")


def __getattr__(name: str) -> object:
    """Import on first use: the session brings polars and more."""
    if name in __all__:
        return getattr(import_module("plimsoll.session"), name)
    raise AttributeError(f"module 'plimsoll' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
