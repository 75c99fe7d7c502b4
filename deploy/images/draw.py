"""Draw the README's pictures from what the program really prints: `python deploy/images/draw.py`."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

HERE = Path(__file__).parent
WIDTH = 118


def main() -> None:
    """Run the demo in a folder of its own and draw its terminal."""
    with tempfile.TemporaryDirectory() as folder:
        shown = subprocess.run(
            [sys.executable, "-m", "apportion", "demo", "--out", "demo"],
            check=True,
            capture_output=True,
            text=True,
            cwd=folder,
            env={**os.environ, "FORCE_COLOR": "1", "COLUMNS": str(WIDTH), "PYTHONPATH": str(HERE.parent.parent)},
        )
    drawn = Console(record=True, width=WIDTH, file=io.StringIO())
    drawn.print(Text.from_ansi("$ apportion demo\n" + shown.stdout.replace(f"{folder}/", "")))
    picture = drawn.export_svg(title="apportion demo")
    (HERE / "demo.svg").write_text(re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL), encoding="utf-8")


if __name__ == "__main__":
    main()
