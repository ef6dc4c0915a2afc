from __future__ import annotations

import fcntl
import os

import polars as pl
import pytest

from plimsoll.store.journal import Journal, is_finished, read_segment

ROWS = pl.DataFrame({"x": [1, 2, 3], "word": ["a", "b", None]})


@pytest.fixture
def segment(tmp_path):
    journal = Journal(tmp_path)
    for number in range(4):
        journal.append({"trade": ROWS.with_columns(x=pl.col("x") + number)})
    path = journal.path
    journal.close()
    return path


def test_batches_come_back_in_order_with_their_kind(segment):
    found = read_segment(segment)
    assert [kind for kind, _ in found.batches] == ["trade"] * 4
    assert [frame["x"][0] for _, frame in found.batches] == [1, 2, 3, 4]
    assert found.torn == found.damaged == 0


def test_a_tail_cut_anywhere_loses_only_the_last_batch(segment):
    data = segment.read_bytes()
    size = len(data) // 4
    for cut in range(3 * size + 1, len(data), 97):
        segment.write_bytes(data[:cut])
        found = read_segment(segment)
        assert len(found.batches) == 3
        assert found.torn == cut - 3 * size
        assert found.damaged == 0


def test_a_flipped_byte_in_the_middle_is_damage_and_what_follows_is_kept(segment):
    data = bytearray(segment.read_bytes())
    data[len(data) // 4 + 200] ^= 0xFF
    segment.write_bytes(data)
    found = read_segment(segment)
    assert [frame["x"][0] for _, frame in found.batches] == [1, 3, 4]
    assert found.damaged == len(data) // 4


def test_a_segment_is_finished_when_its_writer_lets_go(tmp_path):
    journal = Journal(tmp_path)
    journal.append({"trade": ROWS})
    path = journal.path
    assert not is_finished(path)
    assert len(read_segment(path).batches) == 1
    journal.close()
    assert is_finished(path)


def test_a_refusing_disk_leaves_no_half_batch(tmp_path, monkeypatch):
    journal = Journal(tmp_path)
    journal.append({"trade": ROWS})

    def full(_handle):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", full)
        with pytest.raises(OSError, match="No space left"):
            journal.append({"trade": ROWS})
    journal.append({"trade": ROWS})
    found = read_segment(journal.path)
    journal.close()
    assert len(found.batches) == 2
    assert found.torn == 0


def test_the_lock_is_a_real_one(tmp_path):
    journal = Journal(tmp_path)
    journal.append({"trade": ROWS})
    handle = os.open(journal.path, os.O_RDWR)
    with pytest.raises(BlockingIOError):
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(handle)
    journal.close()
