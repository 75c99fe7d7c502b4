"""Every known system's format into the ledger, against canonical events in a file of about the same size: speed per byte.

Records are those of the tests' dialects, with answers, prompts and headers about them as long as real logs have them.
"""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import fleet
import ledgers
from bench_ingest import rules
from measure import Result, Setting, clocked, isolated, rounds, speed

from apportion.config.load import load
from ingest import registry
from ingest.files import ingest_file
from tests.unit.ingest.desk import NOON
from tests.unit.ingest.dialects import Truth
from tests.unit.ingest.dialects_logs import ENVOY, LOGS

SPEED_MIN = 0.4
CANONICAL = "canonical"
CALLERS, MODELS = 400, 5
SAYING = (
    'Whoever reads this has come to the middle of an answer, where "quotes" and \\n are as common as in any other. '
)
PROSE = {"litellm": 12_000, "litellm-spend": 2_000, "kong": 1_500, "apisix": 700, "langfuse": 3_000, "portkey": 300}
"""Bytes of a record that are no usage; answers have 1,500, what only counts has 200."""

COUNTED = ("sglang", "cloudflare")
DIALECTS = (*{LOGS[name].form: name for name in reversed(LOGS) if name != "envoy"}.values(), "envoy")
"""One of each format; the last is a mapping from the config."""


def run(setting: Setting) -> list[Result]:
    """Seconds per byte of each format, beside canonical events of the same run."""
    size = setting.size(small=12_000_000, full=80_000_000)
    config = isolated(described, setting.work / "formats")
    names = [CANONICAL, *(name for name in DIALECTS if name != CANONICAL)]
    files = {name: isolated(written, setting.work / f"format-{name}-{size}.ndjson", name, size) for name in names}
    path = setting.work / "formats.duckdb"
    seconds = rounds(
        {name: lambda name=name: landed(files[name], name, path, config) for name in names}, setting.rounds
    )
    each = {name: [one / files[name].stat().st_size * size for one in seconds[name]] for name in names}
    return [
        speed(
            name,
            f"{size / 1e6:.0f} MB of {files[name].stat().st_size / _lines(files[name]):,.0f} bytes each: canonical → {name}",
            each[name],
            each[CANONICAL],
            SPEED_MIN,
        )
        for name in names[1:]
    ]


def described(folder: Path) -> Path:
    """The fleet's config, and the mapping of an access log."""
    config = fleet.config(folder)
    text = config.read_text(encoding="utf-8")
    if "[[sources]]" not in text:
        config.write_text(text + ENVOY, encoding="utf-8")
    return config


def written(path: Path, name: str, size: int) -> Path:
    """Write records of a dialect until there are so many bytes, unless the file is there."""
    if path.exists():
        return path
    dialect, random = LOGS[name], Random(7)
    prose = 200 if dialect.form in COUNTED else PROSE.get(dialect.form, 1_500)
    unfinished = path.with_suffix(".part")
    taken = number = 0
    with unfinished.open("w", encoding="utf-8") as file:
        while taken < size:
            number += 1
            record = dialect.write(truth(random, f"{name}-{number}"))
            if name != CANONICAL:
                record |= around(dialect.form, prose)
            taken += file.write(json.dumps(record, separators=(",", ":")) + "\n")
    return unfinished.rename(path)


def truth(random: Random, name: str) -> Truth:
    """A call of one of the callers, within the fleet's month."""
    took = random.randrange(200, 30_000)
    ago = (NOON - fleet.START - timedelta(days=7)) // timedelta(milliseconds=1)
    return Truth(
        tokens=(
            random.randrange(50, 4000),
            random.choice((0, 0, 1024)),
            0,
            random.randrange(1, 800),
            random.choice((0, 0, 120)),
        ),
        status="success",
        streamed=random.random() < 0.5,
        ended_ms=ago - random.randrange(6 * 86_400_000),
        took_ms=took,
        first_ms=random.randrange(1, took),
        model=f"model-{random.randrange(MODELS)}",
        who=f"key-{random.randrange(CALLERS):03d}",
        name=name,
    )


def around(form: str, length: int) -> dict[str, Any]:
    """What stands beside the usage in a record: prompts and answers."""
    text = (SAYING * (length // len(SAYING) + 1))[:length]
    third = text[: length // 3]
    if form.startswith("litellm"):
        return {
            "messages": [{"role": "user", "content": third}] * 2,
            "response": {"choices": [{"message": {"content": third}}]},
        }
    if form in {"kong", "apisix", "portkey", *COUNTED}:
        return {"client": third, "agent": {"headers": {"accept": third, "host": third}}}
    if form == "langfuse":
        return {"input": text[: length // 2], "output": text[: length // 2]}
    return {"choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]}


def landed(file: Path, name: str, path: Path, config: Path) -> float:
    """Seconds for ingest of a file into an empty ledger, written down for good."""
    form = registry.find(LOGS[name].form, load(config).mappings)
    assert form is not None, name
    ledger, believed = ledgers.empty(path, config), rules(config)
    counts: list[tuple[int, int]] = []

    def ingest() -> None:
        outcome, _ = ingest_file(ledger, file, form, believed, ledgers.Fixed())
        ledger.close()
        counts.append((outcome.received, outcome.landed))

    seconds = clocked(ingest)
    ledgers.remove(path)
    assert counts == [(_lines(file), _lines(file))], (name, counts)
    return seconds


def _lines(file: Path) -> int:
    return file.read_bytes().count(b"\n")
