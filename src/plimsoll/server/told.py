"""What a docstring tells of a method, for those who meet it over HTTP."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Told", "told"]

_SECTION = re.compile(r"^(?P<name>[A-Z]\w+)\n-{3,}\n", re.MULTILINE)
_ENTRY = re.compile(
    r"^(?P<names>\w+(?:, \w+)*) : (?P<type>.+)\n(?P<words>(?:^    .*\n?|^\n)*)", re.MULTILINE
)
_ROLES = re.compile(r":\w+:`([^`]*)`")


class Told(NamedTuple):
    """What a docstring tells.

    Attributes
    ----------
    summary : str
        Its first sentence, without the full stop.
    description : str
        What stands between that and its sections, and what is returned.
    parameters : dict of str to str
        Of each parameter its words, with its unit.
    """

    summary: str
    description: str
    parameters: dict[str, str]


def told(method: Callable[..., object]) -> Told:
    """Read the docstring of a method, in the form that numpydoc gives it.

    Examples
    --------
    >>> def near(price: float) -> None:
    ...     '''Return what is near.
    ...
    ...     Parameters
    ...     ----------
    ...     price : float, quote per base
    ...         Not zero.
    ...     '''
    >>> told(near).parameters
    {'price': 'Not zero. Unit: quote per base.'}
    """
    text = (inspect.getdoc(method) or "") + "\n"
    pieces = _SECTION.split(text)
    first, _, rest = pieces[0].strip().partition("\n")
    sections = dict(zip(pieces[1::2], pieces[2::2], strict=True))
    returned = _paragraph(sections.get("Returns", ""))
    description = "\n\n".join(part for part in (_paragraph(rest), returned) if part)
    parameters = {}
    for entry in _ENTRY.finditer(sections.get("Parameters", "")):
        words = _paragraph(entry["words"])
        for name in entry["names"].split(", "):
            unit = _unit(entry["type"])
            parameters[name] = " ".join(part for part in (words, unit and f"Unit: {unit}.") if part)
    return Told(first.rstrip("."), description, parameters)


def _unit(kind: str) -> str:
    """Return what follows a type that is not said of it in Python alone."""
    _, _, rest = kind.partition(", ")
    return rest.removeprefix("optional").removeprefix(", ")


def _paragraph(text: str) -> str:
    """Return text without line breaks inside its paragraphs."""
    parts = re.split(r"\n\s*\n", inspect.cleandoc(text))
    plain = (" ".join(part.split()) for part in parts)
    whole = "\n\n".join(part for part in plain if part)
    return _ROLES.sub(r"`\1`", whole).replace("``", "`")
