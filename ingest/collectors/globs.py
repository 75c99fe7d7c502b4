"""What globs match now."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path


def regular_files(patterns: Iterable[str], note: Callable[[str], object]) -> dict[Path, os.stat_result]:
    """Regular files that some pattern matches, those written last at the end: a log that was rotated comes before its heir.

    Links to files are followed, loops of links are nothing, and `**` enters no linked folder. What goes away while it is listed,
    or stands in a folder that may not be read, is not there. A pattern that matches nothing, or cannot be followed, is noted.
    """
    found: dict[Path, os.stat_result] = {}
    for pattern in patterns:
        glob = Path(pattern)
        before = len(found)
        try:
            for path in Path(glob.anchor).glob(str(glob.relative_to(glob.anchor))):
                with contextlib.suppress(OSError):
                    status = path.stat()
                    if stat.S_ISREG(status.st_mode):
                        found[path] = status
        except OSError as error:  # a folder went away, or may not be read; the next look finds what is left
            note(f"{pattern}: cannot be followed ({error.strerror}).")
        else:
            if len(found) == before:
                note(f"{pattern}: matches no file; what comes to match it is read.")
    return dict(sorted(found.items(), key=lambda item: (item[1].st_mtime_ns, item[0])))
