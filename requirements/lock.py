"""Write the requirement files from pyproject.toml: every version pinned, every file of it hashed, no index named.

`dev.txt` is everything a checkout needs; `runtime.txt` and `build.txt` are parts of it at the same versions.
`litellm.txt` is the environment of the real clients that tests talk to, which shares nothing with the others.
`lowest.txt` has the runtime's direct dependencies at their declared lower bounds, and what the tests need besides.

Pins that still fit are kept; `--upgrade` takes the newest instead.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

FOLDER = Path(__file__).parent
HEADER = "# Written by `make lock` from pyproject.toml. The hashes cover every platform's file of each version.\n"
COMPILE = (
    *(sys.executable, "-m", "piptools", "compile", "--quiet", "--generate-hashes", "--allow-unsafe", "--strip-extras"),
    *(
        "--no-config",
        "--no-header",
        "--no-emit-index-url",
        "--no-emit-trusted-host",
        "--no-emit-find-links",
        "--newline=lf",
    ),
)


def main(arguments: list[str]) -> int:
    """Compile each file, in an empty folder so that no path of this machine gets into a comment."""
    project = tomllib.loads((FOLDER.parent / "pyproject.toml").read_text(encoding="utf-8"))
    runtime, groups = project["project"]["dependencies"], project["dependency-groups"]
    extras = [requirement for extra in project["project"]["optional-dependencies"].values() for requirement in extra]
    clients = groups.pop("clients")
    everything = [*runtime, *extras, *(requirement for group in groups.values() for requirement in group)]
    wanted = {
        "dev": everything,
        "runtime": runtime,
        "build": groups["build"],
        "lowest": [*map(lowest, [*runtime, *extras]), *groups["test"]],
        "litellm": clients,
    }
    with tempfile.TemporaryDirectory() as name:
        for file, requirements in wanted.items():
            compiled = compile_file(Path(name), file, requirements, arguments, within_dev=file in ("runtime", "build"))
            (FOLDER / f"{file}.txt").write_text(HEADER + compiled, encoding="utf-8")
            print(f"requirements/{file}.txt: {compiled.count('==')} packages")
    return 0


def lowest(requirement: str) -> str:
    """A requirement at its lower bound: `rich>=14.0.0` -> `rich==14.0.0`."""
    found = re.fullmatch(r"([A-Za-z0-9_.-]+(?:\[[a-z0-9_,-]+\])?)>=([0-9.]+)(,.*)?", requirement)
    if not found:
        msg = f"{requirement}: write a dependency as name>=version, so that its lower bound can be tested"
        raise SystemExit(msg)
    return f"{found[1]}=={found[2]}"


def compile_file(folder: Path, name: str, requirements: list[str], arguments: list[str], *, within_dev: bool) -> str:
    """The text of one requirement file, seeded with the pins of the one there is."""
    source, target = folder / f"{name}.in", folder / f"{name}.txt"
    source.write_text("\n".join(requirements) + "\n", encoding="utf-8")
    if (FOLDER / target.name).exists():
        shutil.copy(FOLDER / target.name, target)
    constraint = ["--constraint", "dev.txt"] if within_dev else []
    command = [*COMPILE, *constraint, *arguments, "--output-file", target.name, source.name]
    subprocess.run(command, cwd=folder, check=True)
    lines = target.read_text(encoding="utf-8").splitlines(keepends=True)
    said = "".join(line for line in lines if not re.fullmatch(r"\s+#\s+-c dev\.txt\n", line))
    return said.replace("-c dev.txt\n", "").replace(f"-r {source.name}", "pyproject.toml")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
