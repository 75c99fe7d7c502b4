"""Contents that left the place where they were followed: whether a file carries them on shows at the look after."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(slots=True)
class _Departure:
    """A content without its file.

    Attributes:
        path: where it stood.
        stream: what it is.
        unread: bytes of it that belonged to no slice yet.
        replaced: whether another content stands there now.
        looks: how often no file was found to carry it on.
    """

    path: Path
    stream: str
    unread: int
    replaced: bool
    looks: int = 0


class Departures:
    """What is missing, and for how long."""

    def __init__(self) -> None:
        self._missing: list[_Departure] = []

    def add(self, path: Path, stream: str, unread: int, *, replaced: bool) -> None:
        """A content is not at its path any more; one that was read whole and then removed is nothing to speak of."""
        if stream and (unread or replaced):
            self._missing.append(_Departure(path, stream, unread, replaced))

    def lost(self, carried: set[str]) -> list[str]:
        """Sentences about what no file carried on at two looks in a row: a listing during a rename may miss a name once."""
        found: list[str] = []
        waiting = []
        for departure in self._missing:
            departure.looks += 1
            if departure.stream in carried:
                continue
            if departure.looks < 2:  # noqa: PLR2004 - as said
                waiting.append(departure)
            else:
                found.append(_sentence(departure))
        self._missing = waiting
        return found


def _sentence(departure: _Departure) -> str:
    if departure.unread:
        return (
            f"{departure.path}: gone with {departure.unread} bytes that were not read, and no file of this source carries them on. "
            "Let `paths` match the names that rotation gives, and keep rotated files for some minutes."
        )
    return (
        f"{departure.path}: begun anew, and what it held before is under no name that `paths` match; records written between the "
        "last look and the rotation would be missing. Let `paths` match the names that rotation gives."
    )
