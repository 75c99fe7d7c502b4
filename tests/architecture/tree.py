"""The tree as the tests of this folder see it: its files, and its modules as syntax trees."""

from __future__ import annotations

import ast
import functools
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("apportion", "attribution", "exporters", "ingest", "metering")
STAGES = ("ingest", "metering", "attribution", "exporters")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """A Python file.

    Attributes:
        path: from the root of the repository.
        text: its content.
        tree: its syntax.
    """

    path: str
    text: str
    tree: ast.Module

    @property
    def name(self) -> str:
        """Its dotted name."""
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    def functions(self) -> Iterator[Function]:
        """Every function and method, nested ones too."""
        return (node for node in ast.walk(self.tree) if isinstance(node, Function))

    def classes(self) -> Iterator[ast.ClassDef]:
        """Every class, nested ones too."""
        return (node for node in ast.walk(self.tree) if isinstance(node, ast.ClassDef))


@functools.cache
def files(ending: str = "") -> tuple[str, ...]:
    """Paths of what is, or is about to be, committed: tracked files and new ones that git does not ignore."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return tuple(
        sorted(path for path in set(listed.stdout.split("\0")) if path.endswith(ending) and (ROOT / path).is_file())
    )


@functools.cache
def product() -> tuple[Module, ...]:
    """The modules of the five packages."""
    return tuple(read(path) for path in files(".py") if path.split("/")[0] in PACKAGES)


@functools.cache
def tests() -> tuple[Module, ...]:
    """The modules under tests/."""
    return tuple(read(path) for path in files(".py") if path.startswith("tests/"))


def read(path: str) -> Module:
    """A Python file of the tree."""
    text = (ROOT / path).read_text(encoding="utf-8")
    return Module(path=path, text=text, tree=ast.parse(text, path))


def text_files() -> dict[str, str]:
    """Path -> content of every file that is text."""
    found = {}
    for path in files():
        content = (ROOT / path).read_bytes()
        if b"\0" not in content:
            found[path] = content.decode("utf-8", errors="replace")
    return found
