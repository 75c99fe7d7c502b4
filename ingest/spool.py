"""Where a slice lies while DuckDB reads it: one file in the ledger's work directory, replaced by each slice."""

from __future__ import annotations

from io import FileIO
from pathlib import Path

from apportion.domain.errors import LedgerError


class Spool:
    """The current slice on disk.

    Attributes:
        path: the file that the relation `incoming` reads.
    """

    def __init__(self, work: Path, name: str) -> None:
        self.path = work / f"{name}.spool"

    def write(self, header: bytes, data: bytes) -> None:
        """Replace the slice. Raises: LedgerError when the disk is full."""
        try:
            with self.path.open("wb", buffering=0) as file:
                _write_all(file, header)
                _write_all(file, data)
        except OSError as error:
            msg = (
                f"{self.path.parent}: the slice could not be written ({error.strerror}); nothing of it was landed. "
                "Free some space and run the same command again: it continues where it stopped."
            )
            raise LedgerError(msg) from error

    def link(self, target: Path) -> None:
        """Let DuckDB read a file where it lies, without widening what SQL may touch."""
        self.path.unlink(missing_ok=True)
        self.path.symlink_to(target.resolve())

    def close(self) -> None:
        """Remove the slice."""
        self.path.unlink(missing_ok=True)


def _write_all(file: FileIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]
