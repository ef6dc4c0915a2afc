from __future__ import annotations

import gzip
import zipfile

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.archives.source import LINE, Source
from plimsoll.errors import DamagedFile

SCHEMA = {"id": pl.Int64(), "price": pl.Float64(), "maker": pl.Boolean()}
GOOD = [["7", "1.5", "true"], ["8", "", "False"], ["9", "2", ""]]


def read(path, text, schema=SCHEMA):
    path.write_text(text)
    source = Source(path)
    return pl.concat(source.csv(schema)), source.rejected


@pytest.mark.parametrize("quote", ["", '"'])
def test_booleans_are_read_alike_with_and_without_quotes(tmp_path, quote):
    words = ["true", "false", "True", "FALSE", ""]
    text = "".join(
        f"{n},1.0,{quote if word else ''}{word}{quote if word else ''}\n"
        for n, word in enumerate(words)
    )
    frame, rejected = read(tmp_path / "a.csv", text)
    assert frame["maker"].to_list() == [True, False, True, False, None]
    assert rejected == []


def test_a_word_that_is_no_boolean_is_rejected_with_its_line(tmp_path):
    frame, (rejected,) = read(tmp_path / "a.csv", "1,1.0,true\n2,1.0,yes\n3,1.0,false\n")
    assert frame[LINE].to_list() == [1, 3]
    assert (rejected.line, rejected.reason) == (2, "maker: cannot read 'yes' as Boolean")


def test_a_cell_too_many_does_not_make_up_for_one_too_few(tmp_path):
    frame, rejected = read(tmp_path / "a.csv", "1,1.0,true\n2,1.0\n3,1.0,true,")
    assert frame["id"].to_list() == [1]
    assert [item.line for item in rejected] == [2, 3]


def test_lines_are_counted_from_one_with_the_header_and_the_mark_before_it(tmp_path):
    frame, _ = read(tmp_path / "a.csv", "\ufeffid,price,maker\n5,1.0,true\n6,1.0,true\n")
    assert frame.select("id", LINE).rows() == [(5, 2), (6, 3)]


@given(st.lists(st.sampled_from([*GOOD, ["7"], ["7", "1"], ["7", "1", "true", "x"]]), min_size=1))
def test_a_line_is_kept_if_and_only_if_it_has_as_many_cells_as_columns(tmp_path, lines):
    frame, rejected = read(tmp_path / "a.csv", "\n".join(map(",".join, lines)))
    whole = [number for number, cells in enumerate(lines, 1) if len(cells) == 3]
    assert frame[LINE].to_list() == whole
    assert [item.line for item in rejected] == sorted({*range(1, len(lines) + 1)} - {*whole})


def test_progress_follows_the_packed_bytes(tmp_path):
    path = tmp_path / "a.csv.gz"
    random = np.random.default_rng(0)
    text = "\n".join(map(str, random.integers(0, 10**9, 200_000)))
    path.write_bytes(gzip.compress(text.encode()))
    told = []
    source = Source(path, progress=told.append)
    for _ in source.pieces(size=200_000):
        pass
    assert sum(told) == path.stat().st_size
    assert max(told) < path.stat().st_size / 2


def test_a_line_that_never_ends_is_no_table(tmp_path, monkeypatch):
    monkeypatch.setattr("plimsoll.archives.source._LONGEST", 1_000)
    path = tmp_path / "a.csv"
    path.write_bytes(b"1" * 10_000)
    with pytest.raises(DamagedFile, match="line 1 does not end"):
        list(Source(path).pieces(size=500))


def test_an_encrypted_zip_is_refused(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", "1,2\n")
    data = bytearray(path.read_bytes())
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(magic) + offset] |= 1
    path.write_bytes(data)
    with pytest.raises(DamagedFile, match="encrypted"):
        Source(path).head  # noqa: B018 (reading is the act)
