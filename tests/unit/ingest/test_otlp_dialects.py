"""One true usage, written in each dialect, reads back the same."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apportion.ledger.connection import Ledger
from ingest.formats.litellm import LITELLM
from tests.frozen import FrozenClock
from tests.unit.ingest.desk import NOON, Desk
from tests.unit.ingest.telemetry import JSON, PROTOBUF, land, span, spans
from tests.unit.ingest.test_litellm import payload

TOKENS = ("uncached_input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")
RUNS = count()
COUNTS = st.lists(st.tuples(*[st.integers(0, 1_000_000_000)] * 5), min_size=1, max_size=20)


@pytest.fixture(scope="module")
def dialects(tmp_path_factory: pytest.TempPathFactory, blank_ledger: Path) -> Iterator[Desk]:
    """One ledger for all examples."""
    folder = tmp_path_factory.mktemp("dialects")
    with Ledger(Path(shutil.copy(blank_ledger, folder / "apportion.duckdb"))) as opened:
        desk = Desk(opened, FrozenClock(NOON), folder)
        desk.formats["litellm"] = LITELLM
        yield desk


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(COUNTS)
def test_every_dialect_reads_back_the_true_usage(dialects: Desk, truths: list[tuple[int, ...]]) -> None:
    """Inclusive counts made of disjoint ones give the disjoint ones again, in LiteLLM's webhook and in spans of both encodings."""
    run = next(RUNS)
    dialects.hand_in(
        *(
            payload(
                {
                    "litellm_call_id": f"{run}-{number}",
                    "prompt_tokens": uncached + read + written,
                    "completion_tokens": output + reasoned,
                    "metadata.usage_object": {
                        "total_tokens": 1,
                        "cache_read_input_tokens": read,
                        "cache_creation_input_tokens": written,
                        "completion_tokens_details": {"reasoning_tokens": reasoned},
                    },
                }
            )
            for number, (uncached, read, written, output, reasoned) in enumerate(truths)
        ),
        format_name="litellm",
    )
    for content_type in (JSON, PROTOBUF):
        made = [
            span(
                {
                    "gen_ai.request.model": "llama",
                    "gen_ai.response.id": f"{run}-{content_type}-{number}",
                    "gen_ai.usage.input_tokens": uncached + read + written,
                    "gen_ai.usage.cache_read.input_tokens": read,
                    "gen_ai.usage.cache_creation.input_tokens": written,
                    "gen_ai.usage.output_tokens": output + reasoned,
                    "gen_ai.usage.reasoning.output_tokens": reasoned,
                }
            )
            for number, (uncached, read, written, output, reasoned) in enumerate(truths)
        ]
        land(dialects, "traces", spans(*made), content_type)
    found = {row[0]: row[1:] for row in dialects.events("event_id", *TOKENS, "usage_quality")}

    for number, truth in enumerate(truths):
        for name in (f"{run}-{number}", f"{run}-{JSON}-{number}", f"{run}-{PROTOBUF}-{number}"):
            assert found[name] == (*truth, "reported")
