"""Where a slice lies while DuckDB reads it: one file in the ledger's work directory, replaced by each slice."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from apportion.domain.errors import InputError, LedgerError

BUFFER_BYTES = 1024 * 1024


class Spool:
    """The current slice on disk.

    Attributes:
        path: the file that the relation `incoming` reads.
    """

    def __init__(self, work: Path, name: str) -> None:
        self.path = work / f"{name}.spool"

    def write(self, pieces: Iterable[bytes]) -> None:
        """Replace the slice. Raises: LedgerError when the disk is full."""
        try:
            self.path.unlink(missing_ok=True)  # it may be a link to somebody's file
            with self.path.open("wb", buffering=BUFFER_BYTES) as file:
                file.writelines(pieces)
        except OSError as error:
            msg = (
                f"{self.path.parent}: the slice could not be written ({error.strerror}); nothing of it was landed. "
                "Free some space and run the same command again: it continues where it stopped."
            )
            raise LedgerError(msg) from error

    def link(self, target: Path) -> None:
        """Let DuckDB read a file without widening what SQL may touch: by a second name of it, else by a copy.

        Raises: LedgerError when the disk is full; InputError when the file cannot be read.
        """
        self.path.unlink(missing_ok=True)
        try:
            self.path.hardlink_to(target.resolve())
        except OSError:  # another disk, or not this user's file
            try:
                with target.open("rb") as file:
                    self.write(iter(lambda: file.read(BUFFER_BYTES), b""))
            except OSError as error:
                msg = f"{target}: cannot be read ({error.strerror}); check the path and its permissions."
                raise InputError(msg) from error

    def close(self) -> None:
        """Remove the slice."""
        self.path.unlink(missing_ok=True)
