"""What every format can do, so that one path lands them all."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from ingest.kinds import Kind


class Format(Protocol):
    """One way of writing records of a kind.

    Attributes:
        name: what `--format` calls it.
        kind: what its records are.
        reads_arrays: whether a file may also be one JSON array of records.
    """

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> Kind: ...

    @property
    def reads_arrays(self) -> bool: ...

    def view(self, spool: Path, file: str) -> str:
        """SQL of a SELECT whose columns are the kind's canonical fields as JSON text, one row per record, in order.

        Args:
            spool: the slice on disk: `header` and then whole records.
            file: name of the file the records came from, for ids made from it.
        """
        ...

    def count(self, data: bytes) -> int:
        """How many records a slice holds; blank lines are none."""
        ...

    def split(self, data: bytes) -> list[tuple[int, bytes]]:
        """The records of a slice, each with the number of line ends before it."""
        ...

    def boundary(self, data: bytes) -> int:
        """Bytes up to the end of the last whole record in data; 0 where there is none."""
        ...

    def fault(self, record: bytes, header: bytes) -> str | None:
        """Why these bytes are not one record at all, as `malformed: detail`, or None."""
        ...

    def header(self, data: bytes) -> bytes:
        """The first bytes of a stream that belong to every slice (a CSV header line), or nothing."""
        ...

    def placeholder(self, header: bytes) -> bytes:
        """A record that says nothing, to stand where bytes were that are no record."""
        ...
