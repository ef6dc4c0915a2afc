"""What options say: the part of a session that reads their chains."""

from __future__ import annotations

from plimsoll.streams import Streams

__all__ = ["Chains"]


class Chains(Streams):
    """A store whose options are read.

    Parameters
    ----------
    path : Path
    """
