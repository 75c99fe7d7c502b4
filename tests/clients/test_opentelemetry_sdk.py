"""OpenTelemetry's own Python SDK tells of calls and GPUs, batched and packed as its exporters do: it lands, and is charged to the nano."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.environment import python
from tests.clients.serving import ANY_TOKEN, NANO_PER_WEIGHTED_TOKEN, TOKEN, WEIGHTS, Charged, charged, serving

pytestmark = pytest.mark.component

SENDER = Path(__file__).parent / "opentelemetry" / "send.py"
NUMBERS = (*range(40), 1000)
"""Of the calls that have counts: forty spans and a log record."""


@dataclass(frozen=True)
class Told:
    """What the SDK said of its answers, and what the ledger came to hold."""

    said: str
    charged: Charged


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """The sender has run once, and everything is metered."""
    program, folder = python(), tmp_path_factory.mktemp("opentelemetry")
    with serving(folder) as serve:
        command = [program, SENDER, f"http://127.0.0.1:{serve.port}", TOKEN, ANY_TOKEN]
        sent = subprocess.run(
            command, capture_output=True, text=True, timeout=120, check=False, env={"PATH": "/usr/bin:/bin"}
        )
        assert sent.returncode == 0, sent.stderr
        assert serve.stop() == 0
    return Told(sent.stdout.strip(), charged(folder))


def test_the_sdk_is_content_with_every_answer(told: Told) -> None:
    """Its exporters logged no failure, no retry and no partial success."""
    assert told.said == "ok"


def test_every_call_and_every_gpu_lands_once(told: Told) -> None:
    """Spans in batches of sixteen, a log record and two devices; the agent's own span and the histogram are no records."""
    assert {outcome: records for outcome, records in told.charged.outcomes.items() if records} == {"landed": 44}
    assert sorted(event["id"] for event in told.charged.events) == sorted(
        [*(f"call-{number}" for number in range(40)), "call-failed", "call-of-a-log"]
    )


def test_who_calls_is_whom_the_resource_names(told: Told) -> None:
    """An SDK speaks for its own process."""
    assert {(event["source"], event["team"]) for event in told.charged.events} == {("otel", "team-search")}


def test_a_failed_call_says_so(told: Told) -> None:
    """The span's status reaches the event, and its tokens count: the engine had read them."""
    (failed,) = [event for event in told.charged.events if event["id"] == "call-failed"]

    assert (failed["status"], failed["uncached"], failed["output"]) == ("failed", 5, 0)


def test_the_team_is_charged_what_the_spans_say(told: Told) -> None:
    """Cached tokens leave the input, reasoning the output; to the token and to the nano."""
    tokens = {
        "uncached_input": sum(100 + number - 64 for number in NUMBERS) + 5,
        "cache_read": 64 * len(NUMBERS),
        "output": sum(20 + number - 8 for number in NUMBERS),
        "reasoning": 8 * len(NUMBERS),
    }
    lines = {(team, kind): (count, nano) for team, _, _, kind, count, nano in told.charged.lines}

    assert lines == {
        ("search", kind): (count, count * WEIGHTS[kind] * NANO_PER_WEIGHTED_TOKEN) for kind, count in tokens.items()
    }
    assert told.charged.conserved == 0


def test_gpus_are_sampled(told: Told) -> None:
    """Readings of one device are one sample: activity in parts per million, power in milliwatts."""
    assert told.charged.samples == [(f"GPU-{number}", 750_000, 412_000, "gpu-node-1") for number in (0, 1)]
