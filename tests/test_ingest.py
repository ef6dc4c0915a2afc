from __future__ import annotations

import gzip
import hashlib
import json
import os
import zipfile

import pytest

from plimsoll import ingest
from plimsoll.errors import StoreUnusable
from plimsoll.store.audit import audit
from plimsoll.store.reader import Reader
from plimsoll.store.writer import Writer

HEADER = "time,exchange,symbol,amount\n"


def csv(*hours: int, amount: float = 1.0) -> str:
    return HEADER + "".join(
        f"2026-01-01T{hour:02}:00:00Z,x,BTC/USDT:USDT,{amount + hour}\n" for hour in hours
    )


def imported(root, *paths):
    with Writer(root) as writer:
        return ingest.import_files(writer, paths)


def amounts(root):
    return Reader(root).read("open_interest")["amount"].to_list()


def test_a_file_imported_twice_changes_nothing(root, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(csv(0, 1, 2))
    first = imported(root, path)
    before = {p: p.read_bytes() for p in (root / "tables").rglob("*.parquet")}
    second = imported(root, path)
    assert (first.total("added"), second.total("added")) == (3, 0)
    assert second.outcomes[0].status == "known"
    assert {p: p.read_bytes() for p in (root / "tables").rglob("*.parquet")} == before


def test_the_same_rows_in_another_file_are_duplicates(root, tmp_path):
    (tmp_path / "a.csv").write_text(csv(0, 1, 2))
    with gzip.open(tmp_path / "b.csv.gz", "wt") as packed:
        packed.write(csv(1, 2, 3))
    report = imported(root, tmp_path)
    assert [(o.added, o.duplicates) for o in report.outcomes] == [(3, 0), (1, 2)]
    assert amounts(root) == [1.0, 2.0, 3.0, 4.0]


def test_duplicate_rows_and_any_order_within_a_file(root, tmp_path):
    (tmp_path / "a.csv").write_text(csv(2, 0, 1, 1, 0))
    report = imported(root, tmp_path)
    assert (report.total("added"), report.total("duplicates")) == (3, 2)
    assert amounts(root) == [1.0, 2.0, 3.0]


def test_a_contradicting_file_is_told_and_traced_to_its_checksum(root, tmp_path):
    (tmp_path / "a.csv").write_text(csv(0, 1))
    imported(root, tmp_path)
    other = tmp_path / "b.csv"
    other.write_text(csv(1, amount=50.0))
    report = imported(root, other)
    assert report.total("revisions") == 1
    reader = Reader(root)
    aside = reader.revisions(reader.series()[0])
    assert aside["source"].to_list() == [hashlib.sha256(other.read_bytes()).hexdigest()]


def test_a_bad_file_stops_only_itself(root, tmp_path):
    (tmp_path / "a.csv").write_text(csv(0))
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as packed:
        packed.writestr("b.csv", csv(5))
    (tmp_path / "b.zip").write_bytes((tmp_path / "b.zip").read_bytes()[:-30])
    (tmp_path / "c.csv").write_text("")
    (tmp_path / "d.csv").write_text(csv(1))
    (tmp_path / "notes.txt").write_text("nothing to see\n")
    report = imported(root, tmp_path)
    assert [o.status for o in report.outcomes] == [
        "imported",
        "failed",
        "failed",
        "imported",
        "unrecognised",
    ]
    assert "truncated" in report.outcomes[1].error
    assert "empty" in report.outcomes[2].error
    assert amounts(root) == [1.0, 2.0]


def test_a_truncated_gzip_keeps_nothing_of_that_file(root, tmp_path):
    packed = gzip.compress(csv(*range(24)).encode() * 5_000)
    (tmp_path / "a.csv.gz").write_bytes(packed[: len(packed) // 2])
    report = imported(root, tmp_path)
    assert report.outcomes[0].status == "failed"
    assert Reader(root).series() == []
    assert not list((root / "staged").iterdir())


@pytest.mark.parametrize("good", [True, False])
def test_a_published_checksum_is_compared(root, tmp_path, good):
    path = tmp_path / "a.csv"
    path.write_text(csv(0))
    digest = hashlib.sha256(path.read_bytes()).hexdigest() if good else "0" * 64
    (tmp_path / "a.csv.CHECKSUM").write_text(f"{digest}  a.csv\n")
    report = imported(root, tmp_path)
    assert [o.status for o in report.outcomes] == ["imported" if good else "failed"]
    if good:
        assert Reader(root).imports()[0]["verified"] is True
    else:
        assert "is not the published" in report.outcomes[0].error


def test_rejected_rows_are_counted_and_kept_with_file_and_line(root, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(csv(0) + "2026-01-01T01:00:00Z,x,BTC/USDT:USDT,-5\n" + csv(2)[len(HEADER) :])
    report = imported(root, path)
    assert (report.total("added"), report.total("rejected")) == (2, 1)
    assert report.outcomes[0].first_reject == f"{path}:3: amount is -5.0, expected nonnegative"
    (kept,) = (root / "rejects").iterdir()
    row = json.loads(kept.read_text())
    assert (row["file"], row["line"]) == (str(path), 3)
    assert row["row"]["amount"] == -5.0


def test_a_file_of_which_no_row_can_be_kept_fails(root, tmp_path):
    (tmp_path / "a.csv").write_text(HEADER + "2026-01-01T01:00:00Z,x,BTC/USDT:USDT,-5\n")
    report = imported(root, tmp_path)
    assert report.outcomes[0].status == "failed"
    assert "none of its 1 rows can be kept" in report.outcomes[0].error


def test_a_disk_that_fills_up_keeps_what_was_accepted(root, tmp_path, monkeypatch):
    for hour in range(4):
        (tmp_path / f"{hour}.csv").write_text(csv(hour))
    real, calls = os.fsync, []

    def filling(handle):
        calls.append(handle)
        if len(calls) > 8:
            raise OSError(28, "No space left on device")
        real(handle)

    writer = Writer(root)
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", filling)
        with pytest.raises(StoreUnusable, match="No space left.*safe"):
            ingest.import_files(writer, [tmp_path])
    kept = amounts(root)
    assert kept == [1.0, 2.0, 3.0, 4.0][: len(kept)]
    assert 0 < len(kept) < 4
    assert imported(root, tmp_path).total("added") == 4 - len(kept)
    assert amounts(root) == [1.0, 2.0, 3.0, 4.0]


def test_a_path_that_is_not_there_imports_nothing(root, tmp_path):
    (tmp_path / "a.csv").write_text(csv(0))
    with pytest.raises(FileNotFoundError, match="no such file"):
        imported(root, tmp_path / "a.csv", tmp_path / "b.csv")
    assert Reader(root).series() == []


def test_progress_adds_up_to_the_size_of_the_file(root, tmp_path):
    plain, packed = tmp_path / "a.csv", tmp_path / "b.zip"
    plain.write_text(csv(*range(24)))
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("b.csv", csv(*range(24)))
    told: dict[str, int] = {}
    with Writer(root) as writer:
        ingest.import_files(
            writer,
            [tmp_path],
            progress=lambda path, count: told.update({path.name: told.get(path.name, 0) + count}),
        )
    assert told == {path.name: path.stat().st_size for path in (plain, packed)}


def test_the_same_bytes_under_another_name_are_another_file(root, tmp_path):
    """Two coins' funding may agree to the byte: only the name tells them apart."""
    rows = "calc_time,funding_interval_hours,last_funding_rate\n1704067200000,8,0.0001\n"
    for coin in ("XRP", "DOGE"):
        (tmp_path / f"{coin}USDT-fundingRate-2024-01.csv").write_text(rows)
        imported(root, tmp_path)
    found = Reader(root).read("funding")
    assert found["symbol"].to_list() == ["DOGE/USDT:USDT", "XRP/USDT:USDT"]


def test_a_wrong_time_zone_can_be_corrected(root, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(HEADER + "2026-07-01 01:00:00,x,BTC/USDT:USDT,1\n")
    with Writer(root) as writer:
        ingest.import_files(writer, [path], time_zone="UTC")
        report = ingest.import_files(writer, [path], time_zone="Europe/London")
        with pytest.raises(ValueError, match="no time zone 'Mars/Phobos'"):
            ingest.import_files(writer, [path], time_zone="Mars/Phobos")
    assert report.total("added") == 1


def test_a_lost_file_comes_back_by_importing_again(root, tmp_path):
    (tmp_path / "a.csv").write_text(csv(0, 1))
    imported(root, tmp_path)
    next((root / "tables").rglob("*.parquet")).unlink()
    assert imported(root, tmp_path).total("added") == 0
    with Writer(root) as writer:
        ingest.import_files(writer, [tmp_path], again=True)
    assert amounts(root) == [1.0, 2.0]
    assert audit(Reader(root))[1] == []


def test_a_name_that_is_no_text_harms_nobody(root, tmp_path):
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff.csv")
    with open(odd, "w") as file:  # noqa: PTH123 (a name pathlib prints as it likes)
        file.write(csv(0))
    assert imported(root, tmp_path).total("added") == 1
    (tmp_path / "good.csv").write_text(csv(1))
    assert imported(root, tmp_path).total("added") == 1
    assert Reader(root).imports()[0]["path"].isascii()


@pytest.mark.parametrize("junk", ['"' + "x" * 200_000, "1,2\r3,4", "time,time\n1,2"])
def test_what_a_library_chokes_on_stops_only_its_file(root, tmp_path, junk):
    (tmp_path / "a.csv").write_text(HEADER + junk + "\n")
    (tmp_path / "b.csv").write_text(csv(1))
    imported(root, tmp_path)
    assert amounts(root) == [2.0]
