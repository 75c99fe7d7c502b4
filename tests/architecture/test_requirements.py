"""Requirement files: every version pinned, every file hashed, nothing said about where to get it or who resolved it."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.architecture.tree import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
RUNTIME = PROJECT["project"]["dependencies"]
GROUPS = PROJECT["dependency-groups"]
CLIENTS = GROUPS.pop("clients")
EXTRAS = [requirement for extra in PROJECT["project"]["optional-dependencies"].values() for requirement in extra]
EVERYTHING = [*RUNTIME, *EXTRAS, *(requirement for group in GROUPS.values() for requirement in group)]
FILES = {
    "runtime": RUNTIME,
    "dev": EVERYTHING,
    "build": GROUPS["build"],
    "lowest": [*RUNTIME, *EXTRAS, *GROUPS["test"]],
    "litellm": CLIENTS,
}
SYNTAX = re.compile(r"(#.*|[a-z0-9-]+==[0-9][\w.!+]* \\|    --hash=sha256:[0-9a-f]{64}( \\)?|    #.*|)")


def pins(file: str) -> dict[str, tuple[int, ...]]:
    """Name -> version of a requirement file."""
    text = (ROOT / "requirements" / f"{file}.txt").read_text(encoding="utf-8")
    return {name: version(number) for name, number in re.findall(r"^([a-z0-9-]+)==(\S+) \\$", text, re.MULTILINE)}


def version(number: str) -> tuple[int, ...]:
    """A version that compares, without trailing zeros."""
    parts = [int(part) for part in re.findall(r"\d+", number)]
    while parts and parts[-1] == 0:
        parts.pop()
    return tuple(parts)


def bound(requirement: str) -> tuple[str, tuple[int, ...]]:
    """Name and lower bound of a declared requirement."""
    found = re.match(r"([A-Za-z0-9_.-]+)(?:\[[a-z0-9_,-]+\])?>=([0-9.]+)", requirement)
    assert found, f"{requirement}: write it as name>=version"
    return re.sub(r"[-_.]+", "-", found[1]).lower(), version(found[2])


@pytest.mark.parametrize("file", FILES)
def test_every_line_is_a_pin_a_hash_or_a_comment(file: str) -> None:
    """No index, no link, no option, no path: the file says what, never from where."""
    lines = (ROOT / "requirements" / f"{file}.txt").read_text(encoding="utf-8").splitlines()
    other = [f"{number}: {line}" for number, line in enumerate(lines, 1) if not SYNTAX.fullmatch(line) or "://" in line]

    assert not other, "\n".join(other)


@pytest.mark.parametrize("file", FILES)
def test_every_pin_has_a_hash(file: str) -> None:
    """What is installed is what was resolved, to the byte."""
    text = (ROOT / "requirements" / f"{file}.txt").read_text(encoding="utf-8")
    bare = [
        part.split("==")[0]
        for part in re.split(r"\n(?=[a-z0-9])", text)
        if "==" in part and "--hash=sha256:" not in part
    ]

    assert bare == []


@pytest.mark.parametrize("file", FILES)
def test_the_pins_satisfy_what_is_declared(file: str) -> None:
    """Every declared dependency is pinned, at its lower bound or above; run `make lock` after a change."""
    pinned = pins(file)
    unmet = [name for name, lowest in map(bound, FILES[file]) if pinned.get(name, ()) < lowest]

    assert unmet == []


def test_the_lowest_pins_are_the_declared_bounds() -> None:
    """`make lowest` tests each direct dependency of the runtime at exactly the version that pyproject.toml promises."""
    pinned, direct = pins("lowest"), [*RUNTIME, *EXTRAS]

    assert {name: pinned[name] for name, _ in map(bound, direct)} == dict(map(bound, direct))


def test_the_clients_are_in_no_environment_of_ours() -> None:
    """LiteLLM would decide which versions of shared libraries the product is tested with."""
    names = {name for name, _ in map(bound, CLIENTS)} - {name for name, _ in map(bound, RUNTIME)}

    assert names
    assert [name for file in FILES if file != "litellm" for name in pins(file) if name in names] == []


@pytest.mark.parametrize("part", ["runtime", "build"])
def test_parts_have_the_versions_of_the_whole(part: str) -> None:
    """What the image installs is what the tests ran with."""
    whole = pins("dev")

    assert {name: whole.get(name) for name in pins(part)} == pins(part)
