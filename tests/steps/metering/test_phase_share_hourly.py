"""metering.phase_share_hourly: what a workload is split into prefill and decode by."""

from __future__ import annotations

from tests.steps.metering.facts import Deployment, Event, Facts, at

STEP = "metering.phase_share_hourly"
QUERY = """
SELECT deployment_id, consumed_tokens, prefill_weight::BIGINT, decode_weight::BIGINT, weight_max::BIGINT, prefill_share::BIGINT,
    decode_share::BIGINT, phase_method, confidence
FROM metering.phase_share_hourly JOIN book.deployment_key USING (deployment_no) ORDER BY ALL
"""


def test_tokens_weigh_by_kind_and_phase(stepped) -> None:
    """Uncached input, cache reads and cache writes are prefill, output and reasoning decode."""
    tokens = (("uncached_input", 1000), ("cache_read", 200), ("cache_write", 30), ("output", 4), ("reasoning", 5))
    events = (Event(at=at("01:10"), tokens=tokens), Event(at=at("01:20"), principal="other", tokens=(("output", 100),)))
    found = stepped(Facts(deployments=(Deployment(),), events=events), STEP, at("01:00"), at("02:00"), QUERY)

    prefill, decode = 10 * 1000 + 1 * 200 + 10 * 30, 60 * 4 + 60 * 5 + 60 * 100
    assert found == [("d", 1339, prefill, decode, 10 * 1000, prefill, decode, "weights/1", "assumed")]


def test_what_ran_nowhere_splits_nothing(stepped) -> None:
    """Unplaced and external usage has no row."""
    events = (
        Event(at=at("01:10"), model="x", tokens=(("output", 1),)),
        Event(at=at("01:10"), provider="openai", tokens=(("output", 1),)),
    )

    assert stepped(Facts(deployments=(Deployment(),), events=events), STEP, at("01:00"), at("02:00"), QUERY) == []
