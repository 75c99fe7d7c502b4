"""What a real llama-server answered is read, and adds up to what its counters say: see tests/golden/engines/llamacpp."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from apportion.config.load import load
from apportion.ledger.connection import Ledger
from apportion.pipeline import Pipeline
from tests.conftest import GOLDEN
from tests.frozen import FrozenClock
from tests.unit.ingest.desk import CONFIG
from tests.unit.ingest.pages import engines

RECORDED = GOLDEN / "engines" / "llamacpp"
LOGS = ("answers.ndjson", "stream_usage.sse", "stream_plain.sse")
COUNTERS = ("prompt_tokens", "prompt_tokens_cached", "tokens_predicted")
EVENTS = """
SELECT uncached_input_tokens, cache_read_tokens, output_tokens, reasoning_tokens, usage_quality
FROM raw.usage_event AS event JOIN raw.series USING (series_no) ORDER BY ALL
"""
TOLD = "SELECT sum(uncached_input_tokens)::BIGINT, sum(cache_read_tokens)::BIGINT, sum(output_tokens)::BIGINT FROM raw.usage_event"


def counters(page: str) -> tuple[int, ...]:
    """Prompt tokens that were worked on, those from the cache, and output tokens, as a page of /metrics says."""
    families = text_string_to_metric_families((RECORDED / f"metrics_{page}.prom").read_text(encoding="utf-8"))
    values = {sample.name: int(sample.value) for family in families for sample in family.samples}
    return tuple(values[f"llamacpp:{name}_total"] for name in COUNTERS)


def engine(page: str) -> dict[str, Any]:
    """What a scrape of a page makes of the engine."""
    (found,) = engines((RECORDED / f"metrics_{page}.prom").read_bytes(), constants={"model": "tiny-random"})
    return found


def read(folder: Path, ledger: Ledger, files: Iterable[str]) -> tuple[int, int]:
    """Land recordings as a log of answers and chunks. Returns: how many landed or superseded another, and how many did not."""
    config, log = folder / "apportion.toml", folder / "answers.ndjson"
    config.write_text(CONFIG, encoding="utf-8")
    lines = [line for file in files for line in (RECORDED / file).read_text(encoding="utf-8").splitlines()]
    said = [line.removeprefix("data: ") for line in lines]
    log.write_text("".join(f"{line}\n" for line in said if line.startswith("{")), encoding="utf-8")
    pipeline = Pipeline(load(config), ledger, FrozenClock(datetime(2026, 11, 22, tzinfo=UTC)))
    outcome = pipeline.ingest([log], "openai").outcome
    return outcome.landed + outcome.superseded, outcome.rejected


def test_every_answer_is_read_to_the_token(tmp_path: Path, ledger: Ledger) -> None:
    """Plain ones, and streams whose last chunk tells; chunks that tell nothing are rejected."""
    landed, rejected = read(tmp_path, ledger, LOGS)

    assert (landed, rejected) == (5, 15)
    assert [row[:4] for row in ledger.session().rows(EVENTS)] == [
        (1, 220, 8, 0),
        (14, 207, 16, 0),
        (17, 201, 16, 0),
        (19, 201, 8, 0),
        (221, 0, 8, 0),
    ]


def test_a_stream_without_usage_is_read_by_its_timings(tmp_path: Path, ledger: Ledger) -> None:
    """llama-server tells on the last chunk what it did, whether the client asked for usage or not; nothing of it is estimated."""
    read(tmp_path, ledger, ["stream_plain.sse"])

    assert ledger.session().rows(EVENTS) == [(14, 207, 16, 0, "reported")]


def test_answers_and_counters_agree(tmp_path: Path, ledger: Ledger) -> None:
    """Where nobody left and nothing was lost, the engine counted exactly what its answers say."""
    read(tmp_path, ledger, LOGS)

    assert ledger.session().row(TOLD) == tuple(
        after - before for before, after in zip(counters("before"), counters("clean"), strict=True)
    )


def test_a_scrape_of_the_counters_agrees_with_the_answers(tmp_path: Path, ledger: Ledger) -> None:
    """All prompt tokens, those of them that came from the cache, and output, as the collector reads them."""
    read(tmp_path, ledger, LOGS)
    uncached, cached, output = ledger.session().row(TOLD)
    found = engine("clean")

    assert (found["prompt_tokens"], found["cache_read_tokens"], found["output_tokens"]) == (
        uncached + cached,
        cached,
        output,
    )
    assert {name: engine("before")[name] for name in ("prompt_tokens", "cache_read_tokens", "output_tokens")} == {
        "prompt_tokens": 0,
        "cache_read_tokens": 0,
        "output_tokens": 0,
    }


def test_a_scrape_after_the_aborted_stream_is_ahead_of_the_answers() -> None:
    """By what was done for it: 217 prompt tokens, of which the cache had 201, and 11 of output."""
    clean, aborted = engine("clean"), engine("aborted")

    assert [aborted[name] - clean[name] for name in ("prompt_tokens", "cache_read_tokens", "output_tokens")] == [
        217,
        201,
        11,
    ]
    assert aborted["decode_seconds"] > clean["decode_seconds"]


def test_an_aborted_stream_is_in_the_counters_only(tmp_path: Path, ledger: Ledger) -> None:
    """Its client read no counts, so no log has any; the engine counted what it did for it."""
    landed, rejected = read(tmp_path, ledger, ["stream_aborted.sse"])
    unlogged = tuple(after - before for before, after in zip(counters("clean"), counters("aborted"), strict=True))

    assert (landed, rejected) == (0, 5)
    assert unlogged == (16, 201, 11)


def test_a_refusal_is_nowhere(tmp_path: Path, ledger: Ledger) -> None:
    """A prompt that does not fit costs nothing: no counter moves, and its answer is no event."""
    refused = json.loads((RECORDED / "refused.json").read_text(encoding="utf-8"))

    assert refused["error"]["n_prompt_tokens"] > refused["error"]["n_ctx"]
    assert read(tmp_path, ledger, ["refused.json"])[0] == 0


@pytest.mark.parametrize("name", range(len(COUNTERS)))
def test_a_restart_is_seen_in_the_counters(name: int) -> None:
    """No counter of the new process is above the old one's, so that a reset is plain to see."""
    assert counters("restarted")[name] < counters("aborted")[name]
