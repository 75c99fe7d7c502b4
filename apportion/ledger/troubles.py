"""What a database error means to the person at the keyboard, and what to do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from apportion.domain.errors import LedgerBroken, LedgerError

HELD: Final = r"Could not set lock|Conflicting lock|already open"

MEANINGS: Final = {
    HELD: """
        {holder} has this ledger open; send the work to it, or stop it and run this again.
        `apportion report` and `apportion status` read the published results meanwhile.""",
    r"version number|newer version|storage version|Serialization Error": """
        this file was written by another version of DuckDB ({said}); upgrade apportion to the version that wrote it,
        or restore a backup made for this one.""",
    r"No space left|disk is full|Could not write|could not write|File too large": """
        the disk is full ({said}); nothing of this batch was kept. Free some space and run the same command again:
        it continues where it stopped.""",
    r"not a valid DuckDB database file|[Cc]orrupt|checksum|enough bytes|No more data remaining|MetadataReader": """
        this is not a ledger, or it is damaged ({said}); restore it from a backup,
        or point --ledger at the right file.""",
    r"Permission denied|Read-only file system": """
        permission denied; give this user read and write access to it and its folder.""",
    r"Out of Memory": """
        out of memory ({said}); nothing was changed. Free memory, or disk for spilling, and run it again.""",
    r"Out of Range Error|Conversion Error|Overflow": """
        a number is larger than the ledger can hold, or is none ({said}); nothing was changed. Look for a count, weight, rate or price
        that cannot be true.""",
}
"""Pattern of the message, and the sentence in its place; the first match speaks."""

FATAL: Final = r"database has been invalidated|FATAL Error|must be restarted"
"""What DuckDB says once an error left its memory and its file apart; from then on it refuses every statement."""


def translated(error: Exception, path: Path | None = None) -> LedgerError:
    """The error a user sees for one that DuckDB or the file system raised."""
    said = str(error)
    where = f"{path}: " if path else ""
    if re.search(FATAL, said):
        return LedgerBroken(
            f"{where}the open ledger cannot go on ({said.strip().splitlines()[0][:200]}); restart the process."
        )
    held = re.search(r"PID (\d+)", said)
    holder = f"process {held.group(1)}" if held else "another process"
    for pattern, meaning in MEANINGS.items():
        if re.search(pattern, said):
            sentence = " ".join(meaning.split()).format(holder=holder, said=said.strip().splitlines()[0][:200])
            return LedgerError(where + sentence, holder if pattern == HELD else "")
    return LedgerError(f"{where}{type(error).__name__}: {said}")
