"""Opening the ledger when something is wrong: somebody has it, it is damaged or newer, or the machine is in trouble."""

from __future__ import annotations

import errno
import struct
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from apportion.domain.errors import LedgerError
from apportion.ledger.connection import Ledger
from apportion.ledger.troubles import translated

HOLD_OPEN = """
import sys
from pathlib import Path
from apportion.ledger.connection import Ledger
with Ledger(Path(sys.argv[1])):
    print("open", flush=True)
    sys.stdin.read()
"""
CHECKSUM_FACTOR = 0xBF58476D1CE4E5B9
"""DuckDB's block checksum is the exclusive or of its words times this, from 5381 on."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a ledger may be."""
    return tmp_path / "apportion.duckdb"


def written(path: Path) -> bytes:
    """The bytes of a ledger that was closed properly."""
    with Ledger(path) as opened, opened.transaction() as session:
        session.do("CREATE TABLE item AS SELECT range AS n FROM range(100000)")
    return path.read_bytes()


def test_a_second_process_is_told_who_has_it_and_what_to_do(path: Path) -> None:
    """The holder's process id and both ways out stand in the message, and the holder's files stay."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_OPEN, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        spool = path.with_name("apportion.duckdb.work") / "spool"
        spool.write_text("theirs", encoding="utf-8")

        with pytest.raises(LedgerError) as refused:
            Ledger(path)

        assert f"process {holder.pid} has this ledger open; send the work to it, or stop it" in str(refused.value)
        assert "apportion report" in str(refused.value)
        assert str(path) in str(refused.value)
        assert spool.read_text(encoding="utf-8") == "theirs"
        holder.communicate()
    with Ledger(path):
        assert not spool.exists()


@pytest.mark.parametrize("damage", ["text", "empty", "flipped", "cut in the header", "cut in half"])
def test_a_damaged_file_says_so_and_names_the_way_out(path: Path, damage: str) -> None:
    """Whatever the damage, the file is named and a backup or the right path is advised."""
    whole = written(path)
    flipped = bytearray(whole)
    flipped[20_000:-20_000:97] = bytes(byte ^ 0xFF for byte in whole[20_000:-20_000:97])
    contents = {
        "text": b"event_id,model\n" * 1000,
        "empty": b"",
        "flipped": bytes(flipped),
        "cut in the header": whole[:3000],
        "cut in half": whole[: len(whole) // 2],
    }
    path.write_bytes(contents[damage])

    with pytest.raises(LedgerError) as refused, Ledger(path) as opened:
        opened.session().value("SELECT sum(n) FROM item")

    assert "or it is damaged" in str(refused.value)
    assert "restore it from a backup" in str(refused.value)


def test_a_file_of_a_newer_duckdb_says_to_upgrade(path: Path) -> None:
    """A storage version that this DuckDB cannot read is not called damage."""
    newer = bytearray(written(path))
    newer[12:20] = struct.pack("<Q", 5000)
    checksum = 5381
    for (word,) in struct.iter_unpack("<Q", newer[8:4096]):
        checksum ^= word * CHECKSUM_FACTOR & (1 << 64) - 1
    newer[:8] = struct.pack("<Q", checksum)
    path.write_bytes(newer)

    with pytest.raises(LedgerError, match=r"another version of DuckDB .*5000.*upgrade apportion") as refused:
        Ledger(path)

    assert str(path) in str(refused.value)


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (duckdb.IOException('IO Error: Could not write file "x.wal": No space left on device'), "Free some space"),
        (OSError(errno.ENOSPC, "No space left on device"), "Free some space"),
        (PermissionError(errno.EACCES, "Permission denied"), "give this user read and write access"),
        (duckdb.OutOfMemoryException("Out of Memory Error: failed to pin block"), "Free memory"),
    ],
)
def test_trouble_with_the_machine_says_what_to_do(error: Exception, advice: str) -> None:
    """A full disk, missing permission and exhausted memory each name the file and the next step."""
    said = str(translated(error, Path("a.duckdb")))

    assert said.startswith("a.duckdb: ")
    assert advice in said


def test_a_folder_that_cannot_be_made_is_an_error_of_the_ledger(tmp_path: Path) -> None:
    """A path through a file names itself instead of ending in a traceback."""
    (tmp_path / "file").write_text("", encoding="utf-8")

    with pytest.raises(LedgerError, match="file/ledger"):
        Ledger(tmp_path / "file" / "ledger.duckdb")
