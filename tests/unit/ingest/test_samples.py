"""GPU samples: every way one can be wrong, and the canonical units."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import pytest

from tests.unit.ingest.desk import Desk, sample

BAD: dict[str, tuple[dict[str, Any] | bytes, str, str]] = {
    "not JSON": (b"{", "malformed", "not JSON"),
    "another kind": (
        {"event_id": "e", "model": "m"},
        "missing_field",
        "no gpu_uuid and no sampled_at; is this a gpu file?",
    ),
    "no device": ({"gpu_uuid": None}, "missing_field", "gpu_uuid is absent"),
    "an empty device": ({"gpu_uuid": ""}, "missing_field", "gpu_uuid is empty"),
    "a device that is a number": ({"gpu_uuid": 7}, "wrong_type", "gpu_uuid is 7"),
    "a device with a control character": ({"gpu_uuid": "a\nb"}, "control_character", "gpu_uuid"),
    "no time": ({"sampled_at": None}, "missing_field", "sampled_at is absent"),
    "a time without zone": ({"sampled_at": "2026-10-15T11:00:00"}, "no_zone", "sampled_at"),
    "a time from 1969": ({"sampled_at": "1969-12-31T23:00:00Z"}, "too_old", "sampled_at"),
    "a time next year": ({"sampled_at": "2027-10-15T11:00:00Z"}, "too_far_ahead", "sampled_at"),
    "percent for a ratio": ({"active_ratio": 87}, "too_large", 'percent needs a mapping with unit = "percent"'),
    "a hair above one": ({"active_ratio": 1.0000001}, "too_large", "1.0000001"),
    "a negative ratio": ({"sm_active_ratio": -0.1}, "negative", "sm_active_ratio is -0.1"),
    "a ratio that is text": ({"tensor_active_ratio": "0.5"}, "wrong_type", "tensor_active_ratio"),
    "a ratio that is a word": ({"dram_active_ratio": True}, "wrong_type", "dram_active_ratio is true"),
    "a ratio that is NaN": (json.dumps(sample(active_ratio=float("nan"))).encode(), "wrong_type", "NaN"),
    "memory with decimals": ({"memory_used_bytes": 1.5}, "wrong_type", "memory_used_bytes"),
    "negative memory": ({"memory_used_bytes": -1}, "negative", "memory_used_bytes"),
    "absurd memory": ({"memory_used_bytes": 2**63}, "too_large", "memory_used_bytes"),
    "negative power": ({"power_watts": -5}, "negative", "power_watts"),
    "power that is text": ({"power_watts": "300 W"}, "wrong_type", "power_watts"),
    "absurd power": ({"power_watts": 1e16}, "too_large", "power_watts"),
    "energy that is an object": ({"energy_joules": {"x": "secret"}}, "wrong_type", "energy_joules is an object"),
    "a node that is a list": ({"node": ["secret"]}, "wrong_type", "node is a list"),
    "a pod of 257 characters": ({"pod": "p" * 257}, "too_long", "pod has 257"),
}


@pytest.fixture(scope="module")
def sorted_out(shared_desk: Desk) -> Callable[[str], tuple[str, str, int]]:
    """Every bad sample in one file between sound ones; gives reason, detail and line by the case's name."""
    records: list[Any] = []
    for number, (bad, _, _) in enumerate(BAD.values()):
        sound = sample(f"2026-10-15T10:{number:02d}:00Z")
        whole = (
            bad
            if isinstance(bad, bytes) or "model" in bad
            else {k: v for k, v in (sample() | bad).items() if v is not None}
        )
        records += [sound, whole]
    outcome = shared_desk.hand_in(*records, format_name="gpu")
    assert (outcome.landed, outcome.rejected) == (len(BAD), len(BAD))
    return dict(zip(BAD, shared_desk.rejections("reason", "detail", "line"), strict=True)).__getitem__


@pytest.mark.parametrize("name", BAD)
def test_a_bad_sample_is_rejected_with_its_reason(sorted_out: Callable[[str], tuple[str, str, int]], name: str) -> None:
    """Reason, a detail that names field and value, and the line."""
    reason, detail, line = sorted_out(name)

    assert reason == BAD[name][1]
    assert BAD[name][2] in detail
    assert "secret" not in detail
    assert line == 2 * list(BAD).index(name) + 2


RATIOS = (
    "0", "1", "1.0000000", "0.963", "0.123456", "0.1234565", "0.1234575", "0.0000005", "0.0000015", "5e-7", "15E-7", "1e-6",
    "0.30000000000000004", "0.9999995000000001",
)  # fmt: skip
AMOUNTS = (
    "0", "612.4", "612.400", "0.0005", "0.0015", "1.5E-3", "2.5e-3", "1e3", "99999999999.999", "99999999999.9995",
    "100000000000", "999999999999.9985", "1000000000000000", "0.123456789012",
)  # fmt: skip


def test_measurements_are_rounded_half_even_from_their_text(desk: Desk) -> None:
    """Parts per million and thousandths, however many decimals there are and however they are written."""
    texts = list(zip(RATIOS, AMOUNTS, strict=True))
    records = [
        f'{{"gpu_uuid":"G{number:02}","node":"n","sampled_at":"2026-10-15T11:00:00Z","active_ratio":{ratio},"power_watts":{amount}}}'
        for number, (ratio, amount) in enumerate(texts)
    ]
    desk.hand_in(*records, format_name="gpu")

    def rounded(text: str, factor: int) -> int:
        return int((Decimal(text) * factor).quantize(Decimal(1), ROUND_HALF_EVEN))

    assert desk.samples("active_ppm", "power_milliwatts") == [
        (rounded(ratio, 1_000_000), rounded(amount, 1_000)) for ratio, amount in texts
    ]


def test_absent_measurements_are_unknown(desk: Desk) -> None:
    """Never zero; a null is absent."""
    desk.hand_in({"gpu_uuid": "G", "sampled_at": "2026-10-15T11:00:00Z", "power_watts": None}, format_name="gpu")

    (landed,) = desk.samples()
    assert {name: value for name, value in landed.items() if value not in {"", None}} == {
        "gpu_uuid": "G",
        "sampled_at": "2026-10-15T11:00:00.000000Z",
    }
    assert landed["active_ppm"] is None


def test_mig_slices_of_a_gpu_are_devices_of_their_own(fresh_desk: Desk) -> None:
    """And a device seen in two places is one device with two series."""
    fresh_desk.hand_in(
        sample(mig_profile="1g.10gb"),
        sample(mig_profile="3g.40gb"),
        sample("2026-10-15T11:00:01Z", mig_profile="3g.40gb", pod="other"),
        format_name="gpu",
    )

    assert (fresh_desk.count("raw.gpu_device"), fresh_desk.count("raw.gpu_series")) == (2, 3)
    assert fresh_desk.samples("mig_profile", "pod") == [("1g.10gb", ""), ("3g.40gb", ""), ("3g.40gb", "other")]
