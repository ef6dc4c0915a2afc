"""Published file formats, one module each; `formats` finds the one that knows a file."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from plimsoll.errors import Unrecognised

if TYPE_CHECKING:
    from plimsoll.archives.source import Format, Source

__all__ = ["FORMATS", "recognise"]

FORMATS = ("binance_vision", "tardis", "deribit", "cftc", "research", "tidy")
"""Every format, the most particular first."""


def recognise(source: Source) -> Format:
    """Return the format that knows a file.

    Parameters
    ----------
    source : Source
        The opened file.

    Returns
    -------
    Format
        The module of that format.

    Raises
    ------
    Unrecognised
        If none does; the message lists what each would have accepted.
    """
    modules = [cast("Format", import_module(f"plimsoll.archives.{name}")) for name in FORMATS]
    for module in modules:
        if module.recognises(source):
            return module
    accepted = "; ".join(f"{module.NAME}: {module.ACCEPTS}" for module in modules)
    raise Unrecognised(
        source.path, f"no format knows a file with {source.describe()}. Known formats: {accepted}"
    )
