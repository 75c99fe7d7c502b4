"""Readings of GPUs become samples, whoever reported them; and the table of what exporters call them is sound."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.gpu_families import FAMILIES, PLACES
from ingest.gpu_samples import Device, GpuReading, Samples, device_of, line
from ingest.instants import instant
from ingest.kinds import GPU

AT_NS = 1_790_000_000_000_000_000


def made(*readings: tuple[str, int, dict[str, str]]) -> list[dict[str, object]]:
    """Samples of one device's readings of 1, as (metric, nanoseconds later, place)."""
    samples = Samples()
    for metric, later, place in readings:
        samples.add(GpuReading(Device("u", ""), place, metric, AT_NS + later, Decimal(1)))
    return [json.loads(text) for text, _ in samples.lines()]


def test_every_family_is_a_field_of_the_contract() -> None:
    """In a unit that a factor brings there."""
    assert {family.field for family in FAMILIES.values()} <= set(GPU.columns)
    assert set(PLACES) <= set(GPU.texts)
    assert all(family.factor > 0 for family in FAMILIES.values())


@given(
    st.permutations(
        [("DCGM_FI_DEV_FB_USED", 0, {"node": "n", "pod": "a"}), ("DCGM_FI_DEV_POWER_USAGE", 5, {"pod": "a"})]
    )
)
def test_what_any_reading_says_of_the_device_is_true_of_it(readings: list[tuple[str, int, dict[str, str]]]) -> None:
    """Of what runs there, only what all of them say."""
    (record,) = made(*readings)

    assert (record["node"], record["pod"]) == ("n", "a")
    assert "pod" not in made(*readings, ("DCGM_FI_PROF_SM_ACTIVE", 7, {}))[0]


@pytest.mark.parametrize(("later", "samples"), [(999_999_999, 1), (1_000_000_000, 2)])
def test_readings_of_one_collection_lie_within_a_second(later: int, samples: int) -> None:
    """A second later begins another."""
    assert len(made(("DCGM_FI_DEV_FB_USED", 0, {}), ("DCGM_FI_DEV_POWER_USAGE", later, {}))) == samples


@pytest.mark.parametrize(
    ("metric", "labels", "device"),
    [
        ("DCGM_FI_DEV_POWER_USAGE", {}, None),
        ("DCGM_FI_DEV_POWER_USAGE", {"UUID": ""}, None),
        ("DCGM_FI_DEV_POWER_USAGE", {"uuid": "u"}, Device("u", "")),
        ("DCGM_FI_DEV_POWER_USAGE", {"UUID": "u", "GPU_I_PROFILE": "1g.10gb"}, None),
        ("DCGM_FI_DEV_FB_USED", {"UUID": "u", "GPU_I_PROFILE": "1g.10gb"}, Device("u", "1g.10gb")),
        ("DCGM_FI_DEV_FB_USED", {"UUID": "u", "GPU_I_PROFILE": "1g.10gb", "GPU_I_ID": 7}, Device("u", "1g.10gb/7")),
        ("gpu_gfx_activity", {"gpu_uuid": "u", "gpu_partition_id": 0}, Device("u", "")),
        ("gpu_gfx_activity", {"gpu_uuid": "u", "gpu_partition_id": "3"}, None),
    ],
)
def test_a_metric_names_its_device(metric: str, labels: dict[str, object], device: Device | None) -> None:
    """A whole device, an instance of it, or none that it says anything of."""
    assert device_of(metric, labels) == device


def test_a_record_leaves_out_what_is_absent() -> None:
    """Numbers stand digit by digit; text is quoted."""
    assert (
        line({"a": "x\n", "b": None, "c": "", "d": Decimal("1E+3"), "e": Decimal(0)}) == b'{"a":"x\\n","d":1000,"e":0}'
    )


@given(st.integers(1, 8000 * 366 * 86_400 * 1_000_000))
def test_an_instant_is_read_back_as_it_was(microseconds: int) -> None:
    """To the microsecond."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)

    assert datetime.fromisoformat(instant(microseconds * 1000) or "") == moment


def test_a_time_of_no_calendar_stays_a_number() -> None:
    """Landing rejects it, and shows it; none is unknown."""
    assert (instant(10**30), instant(0)) == (str(10**30), None)
