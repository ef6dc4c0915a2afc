from __future__ import annotations

import os
from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from plimsoll.store import appended
from plimsoll.store.appended import Appended
from plimsoll.store.journal import Journal, read_segment

if TYPE_CHECKING:
    from pathlib import Path


def rows(first: int, many: int = 3) -> pl.DataFrame:
    return pl.DataFrame({"x": range(first, first + many), "word": [f"{first}" * 9] * many})


@settings(max_examples=20)
@given(st.lists(st.tuples(st.sampled_from("abLC"), st.integers(1, 40)), max_size=30))
def test_it_holds_what_the_segments_hold(tmp_path_factory, acts):
    """Appends of two kinds, looks, and closed segments, in any order."""
    folder = tmp_path_factory.mktemp("journal")
    journal, looked = Journal(folder), Appended(folder)
    for number, (act, times) in enumerate(acts):
        if act == "L":
            looked.rows()
        elif act == "C":
            journal.close()
        else:
            for _ in range(times):
                journal.append({act: rows(number)})
    journal.close()
    for kind in "ab":
        whole = [
            frame
            for path in sorted(folder.iterdir())
            for of, frame in read_segment(path).batches
            if of == kind
        ]
        found = [frame for _, frame in looked.rows(kind)]
        assert bool(found) == bool(whole)
        if whole:
            assert_frame_equal(pl.concat(found), pl.concat(whole))


def test_each_byte_is_parsed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[int] = []
    parse = appended.batches
    monkeypatch.setattr(appended, "batches", lambda data: parsed.append(len(data)) or parse(data))
    journal, looked = Journal(tmp_path), Appended(tmp_path)
    for number in range(100):
        journal.append({"a": rows(number)})
        assert looked.rows("a")[0][1]["x"][-1] == number + 2
        looked.rows("b")
    assert journal.path is not None
    assert sum(parsed) == journal.path.stat().st_size


def test_what_is_settled_is_forgotten(tmp_path: Path) -> None:
    journal, looked = Journal(tmp_path), Appended(tmp_path)
    for number in range(5):
        journal.append({"a": rows(number)})
        journal.close()
    assert len(looked.rows()) == 5
    for path in sorted(tmp_path.iterdir())[:4]:
        path.unlink()
    assert [frame["x"][0] for _, frame in looked.rows()] == [4]
    assert len(looked._segments) == 1  # noqa: SLF001


@pytest.mark.parametrize("more", [0, 1, 2])
def test_what_was_read_and_then_taken_back_is_not_kept(tmp_path: Path, more: int) -> None:
    """As by a writer whose disk refused, after the bytes were there to be read."""
    journal, looked = Journal(tmp_path), Appended(tmp_path)
    journal.append({"a": rows(0)})
    assert journal.path is not None
    kept = journal.path.stat().st_size
    journal.append({"a": rows(100, 2_000)})
    assert looked.rows("a")[0][1].height == 2_003
    os.truncate(journal.path, kept)
    other = Journal(tmp_path / "other")
    (tmp_path / "other").mkdir()
    other.append({"a": rows(7, 4_000 * more)})
    assert other.path is not None
    with journal.path.open("ab") as file:
        file.write(other.path.read_bytes() if more else b"")
    ((_, found),) = looked.rows("a")
    assert found["x"].to_list() == [0, 1, 2, *range(7, 7 + 4_000 * more)]


def test_a_batch_cut_short_is_read_when_it_is_whole(tmp_path: Path) -> None:
    journal, looked = Journal(tmp_path), Appended(tmp_path)
    for number in range(2):
        journal.append({"a": rows(number)})
    assert journal.path is not None
    data = journal.path.read_bytes()
    for cut in range(len(data) // 2, len(data), 61):
        journal.path.write_bytes(data[:cut])
        assert looked.rows("a")[0][1].height == 3
    journal.path.write_bytes(data)
    assert looked.rows("a")[0][1].height == 6
