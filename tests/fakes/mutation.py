"""Messages changed at random."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random

__all__ = ["flipped", "mutated"]

WRONG = [
    *("NaN", "Infinity", "-1", "0", "1e400", "1e-400", "", "x" * 50, "9" * 5_000, "-0.5"),
    *(None, [], {}, True, -5, 0, 0.5, 1e308, 10**30, -(2**63), math.nan, math.inf),
    json.loads("[" * 200 + "]" * 200),
]


def mutated(message: Any, draw: random.Random) -> Any:
    """Return a message with one of its leaves, keys or lists changed."""
    if draw.random() < 0.05:
        return draw.choice(WRONG)
    if isinstance(message, dict) and message:
        key = draw.choice(sorted(message))
        changed = dict(message)
        if (chance := draw.random()) < 0.1:
            changed[key + "_"] = changed.pop(key)
        elif chance < 0.2:
            del changed[key]
        else:
            changed[key] = mutated(message[key], draw)
        return changed
    if isinstance(message, list) and message:
        at = draw.randrange(len(message))
        if (chance := draw.random()) < 0.1:
            return message[:at]
        if chance < 0.2:
            return [*message[:at], message[at], *message[at:]]
        return [*message[:at], mutated(message[at], draw), *message[at + 1 :]]
    return draw.choice(WRONG)


def flipped(payload: bytes, draw: random.Random) -> bytes:
    """Return bytes with one to four of them changed."""
    changed = bytearray(payload)
    for _ in range(draw.randint(1, 4)):
        changed[draw.randrange(len(changed))] = draw.choice(b'0123456789-.,:"{}[]eEn\x00\xff')
    return bytes(changed)
