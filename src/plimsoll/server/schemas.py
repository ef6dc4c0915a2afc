"""What answers look like, for OpenAPI: columns with their types and units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from plimsoll.market.schema import TABLES
from plimsoll.server.forms import ARROW, COLUMNS, JSON
from plimsoll.server.problems import PROBLEM, SCHEMA, STATUSES

if TYPE_CHECKING:
    import polars as pl

    from plimsoll.market.schema import Column
    from plimsoll.server.questions import Question

__all__ = ["of_question", "problems", "rows"]

PREFER: dict[str, Any] = {
    "name": "Prefer",
    "in": "header",
    "required": False,
    "description": "`wait=SECONDS`: if the answer takes longer, say how far it is (202) and go on; "
    "ask the same again within five seconds, or it is given up.",
    "schema": {"type": "string"},
}
_UNDERWAY: dict[str, Any] = {
    "description": "The answer is being made, and takes longer than `Prefer` allows; ask again.",
    "content": {
        JSON: {
            "schema": {
                "type": "object",
                "required": ["stages"],
                "properties": {
                    "stages": {
                        "type": "array",
                        "description": "What is being done, the widest first; empty before it is "
                        "begun.",
                        "items": {
                            "type": "object",
                            "required": ["name", "done", "of"],
                            "properties": {
                                "name": {
                                    "type": "string",
                                    "description": "reading, moving, comparing, fitting or drawing "
                                    "(of markets); candidates or draws (of assumptions).",
                                },
                                "done": {"type": "integer"},
                                "of": {"type": "integer"},
                            },
                        },
                    }
                },
            }
        }
    },
}
_ANY = {"type": "array", "items": {}}
_BYTES = {"type": "string", "format": "binary"}


def of_question(question: Question) -> dict[int | str, dict[str, Any]]:
    """Return the answers of a question, by status."""
    columns: dict[str, Any] = {
        "type": "object",
        "description": question.told.description,
        "additionalProperties": _ANY,
    }
    return answers(columns)


def rows(kind: str) -> dict[int | str, dict[str, Any]]:
    """Return the answers of a table's rows, by status."""
    table = TABLES[kind]
    columns = {
        "type": "object",
        "description": table.summary,
        "properties": {column.name: _column(column) for column in table.columns},
        "required": [column.name for column in table.columns],
    }
    return answers(columns)


def answers(columns: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    """Return the answers of a path whose columns are these, by status."""
    document = {
        "type": "object",
        "required": ["facts", "columns"],
        "properties": {
            "facts": {"type": "object", "description": "What the numbers were made with."},
            "columns": columns,
        },
    }
    found = {JSON: document, COLUMNS: _BYTES, ARROW: _BYTES}
    content = {form: {"schema": schema} for form, schema in found.items()}
    return {
        200: {"description": "The answer, as columns.", "content": content},
        202: _UNDERWAY,
        **problems(),
    }


def problems(*only: int) -> dict[int | str, dict[str, Any]]:
    """Return what else may be answered, by status; all if none is named."""
    found: dict[int | str, dict[str, Any]] = {}
    for status in only or STATUSES:
        found[status] = {"description": STATUSES[status]}
        if status >= 400:
            found[status]["content"] = {PROBLEM: {"schema": SCHEMA}}
    return found


def _column(column: Column) -> dict[str, Any]:
    kind: dict[str, Any] = {"type": [_json_type(column.dtype), "null"]}
    if column.required:
        kind["type"] = kind["type"][0]
    if column.dtype.is_temporal():
        kind["format"] = "date-time"
    if column.choices:
        kind["enum"] = list(column.choices) + ([] if column.required else [None])
    unit = f" Unit: {column.unit}." if column.unit else ""
    return {"type": "array", "items": kind, "description": f"{column.description}{unit}".strip()}


def _json_type(dtype: pl.DataType) -> str:
    if dtype.is_integer():
        return "integer"
    return "number" if dtype.is_float() else "string"


def document(description: str) -> dict[int | str, dict[str, Any]]:
    """Return the answers of a path that returns one JSON object."""
    content = {JSON: {"schema": {"type": "object"}}}
    return {200: {"description": description, "content": content}, **problems(401, 429)}


SIGN_IN_BYTES = 1_024
"""The largest body that a sign-in may have."""
SIGN_IN: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            JSON: {
                "schema": {
                    "type": "object",
                    "required": ["token"],
                    "properties": {"token": {"type": "string", "maxLength": 256}},
                }
            }
        },
    }
}


class _SignIn(msgspec.Struct):
    token: str


def sign_in(body: bytes) -> str:
    """Return the token of a sign-in's body.

    Raises
    ------
    ValueError
        If the body is none.
    """
    try:
        return msgspec.json.decode(body, type=_SignIn).token
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from error
