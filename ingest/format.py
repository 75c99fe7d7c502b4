"""What every format can do, so that one path lands them all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from ingest.kinds import Kind
from ingest.slices import Record

Ending = Literal["more", "last", "all"]
"""What comes after the data: more of the stream, its end, or something else, so that all of it has to be taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Where the whole records at the start of some bytes end.

    Attributes:
        end: bytes that they take.
        records: how many they are; blank lines are none.
        sifted: the records one by one, where DuckDB would not count them as we do.
    """

    end: int
    records: int
    sifted: tuple[Record, ...] | None = None


class Format(Protocol):
    """One way of writing records of a kind.

    Attributes:
        name: what `--format` calls it.
        kind: what its records are.
        reads_arrays: whether a file may also be one JSON array of records.
        stands_alone: whether a record says the same wherever it stands: no header explains it, no line number names it.
        time_form: how times have to be written, in words; empty for RFC 3339.
    """

    @property
    def name(self) -> str:
        """What `--format` calls it."""
        ...

    @property
    def kind(self) -> Kind:
        """What its records are."""
        ...

    @property
    def reads_arrays(self) -> bool:
        """Whether a file may also be one JSON array of records."""
        ...

    @property
    def stands_alone(self) -> bool:
        """Whether a record says the same wherever it stands."""
        ...

    @property
    def time_form(self) -> str:
        """How times have to be written, in words; empty for RFC 3339."""
        ...

    def view(self, spool: Path, file: str, header: bytes, *, sifted: bool) -> str:
        """SQL of a SELECT whose columns are the kind's canonical fields as JSON text, one row per record, in order.

        Args:
            spool: the slice on disk, without its header.
            file: name of the file the records came from, for ids made from it.
            header: of the stream.
            sifted: whether the spool holds the rows of `sift`, and not the slice as it came.
        """
        ...

    def cut(self, data: bytes, header: bytes, ending: Ending) -> Cut:
        """The whole records at the start of data."""
        ...

    def split(self, data: bytes) -> Iterable[tuple[int, bytes]]:
        """The records of a slice that was not sifted, each with the number of line ends before it."""
        ...

    def sift(self, data: bytes, header: bytes) -> tuple[Record, ...]:
        """The records of a slice one by one, slow and sure."""
        ...

    def fault(self, record: bytes, header: bytes) -> str | None:
        """Why these bytes are not one record at all, as `malformed: detail`, or None."""
        ...

    def header(self, data: bytes) -> bytes:
        """The first bytes of a stream that belong to every slice (a CSV header line), or nothing.

        Raises: InputError when it lacks a column that the format reads.
        """
        ...

    def kept(self, record: bytes, header: bytes, tags: frozenset[str]) -> bytes | None:
        """What the quarantine may keep of a record: fields of the contract and allowed tags, never anything else."""
        ...
