"""GPU telemetry in OTLP metrics: units, devices, and what is nobody's sample."""

from __future__ import annotations

import json
import re

import pytest

from tests.shared_data import shared
from tests.unit.ingest.desk import Desk
from tests.unit.ingest.telemetry import END_NS, JSON, PROTOBUF, decoded, gauge, land, metrics, records

GPU = {"UUID": "GPU-1", "gpu": "0", "modelName": "NVIDIA H100 80GB HBM3", "Hostname": "n1"}
BOTH = pytest.mark.parametrize("content_type", [JSON, PROTOBUF])


@BOTH
def test_readings_of_a_device_at_a_time_are_one_sample(desk: Desk, content_type: str) -> None:
    """Ratios, MiB, watts and millijoules become the contract's units, exactly."""
    land(
        desk,
        "metrics",
        metrics(
            gauge("DCGM_FI_PROF_GR_ENGINE_ACTIVE", 0.963, GPU),
            gauge("DCGM_FI_PROF_SM_ACTIVE", 0.71, GPU),
            gauge("DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", 0.222, GPU),
            gauge("DCGM_FI_PROF_DRAM_ACTIVE", 0.552, GPU),
            gauge("DCGM_FI_DEV_FB_USED", 73210, GPU),
            gauge("DCGM_FI_DEV_POWER_USAGE", 612.4, GPU),
            gauge("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", 5187300000001, GPU, shape="sum"),
            resource={"k8s.cluster.name": "eu"},
        ),
        content_type,
    )
    (sample,) = desk.samples()

    expected = {
        "gpu_uuid": "GPU-1",
        "sampled_at": "2026-10-15T11:00:00.000000Z",
        "node": "n1",
        "cluster": "eu",
        "active_ppm": 963_000,
        "sm_active_ppm": 710_000,
        "tensor_active_ppm": 222_000,
        "dram_active_ppm": 552_000,
        "memory_used_bytes": 73210 * 1024 * 1024,
        "power_milliwatts": 612_400,
        "energy_millijoules": 5_187_300_000_001,
    }
    assert {name: sample[name] for name in expected} == expected


@pytest.mark.parametrize("first", [True, False])
def test_a_finer_reading_wins_over_a_percentage(first: bool) -> None:
    """Whichever comes first: utilization in whole percent says only whether anything ran."""
    both = [gauge("DCGM_FI_DEV_GPU_UTIL", 97, GPU), gauge("DCGM_FI_PROF_GR_ENGINE_ACTIVE", 0.41, GPU)]
    (record,) = records("metrics", metrics(*(both if first else reversed(both))))

    assert record["active_ratio"] == 0.41


def test_a_percentage_is_exact() -> None:
    """97 % is 0.97 and no binary neighbour of it."""
    found = decoded("metrics", metrics(gauge("DCGM_FI_DEV_GPU_UTIL", 97, GPU)))

    assert b'"active_ratio":0.97,' in found.lines + b"," or b'"active_ratio":0.97}' in found.lines


def test_devices_and_times_are_apart() -> None:
    """A sample is one device at one time."""
    other = GPU | {"UUID": "GPU-2"}
    later = END_NS + 15_000_000_000
    made = [gauge("DCGM_FI_DEV_GPU_UTIL", 1, said, at_ns=at) for said in (GPU, other) for at in (END_NS, later)]

    assert len(records("metrics", metrics(*made))) == 4


def test_gauges_read_one_after_the_other_are_one_sample() -> None:
    """At the earliest of their times; a metric that comes again, or a second later, begins another sample."""
    said = {"hw.id": "GPU-7", "hw.type": "gpu"}
    made = []
    for at in (END_NS, END_NS + 400_000_000, END_NS + 30_000_000_000):
        made += [
            gauge("hw.power", 300.0, said, at_ns=at + 7_000),
            gauge("hw.gpu.utilization", 0.9, said, at_ns=at),
            gauge("hw.gpu.memory.usage", 5, said, at_ns=at + 12_000),
        ]
    made.append(gauge("hw.energy", 5, said, at_ns=END_NS + 31_000_000_000))
    found = decoded("metrics", metrics(*made))
    sampled = [json.loads(line) for line in found.lines.splitlines()]

    assert [(one["sampled_at"][14:], len(one)) for one in sampled] == [
        ("00:00.000000Z", 5),
        ("00:00.400000Z", 5),
        ("00:30.000000Z", 5),
        ("00:31.000000Z", 3),
    ]
    assert (found.items, found.made_of) == (10, (3, 3, 3, 1))


@pytest.mark.parametrize("first", [True, False])
def test_readings_split_over_two_requests_are_one_sample(desk: Desk, first: bool) -> None:
    """Batches are cut between gauges; whichever half comes first, nothing is lost."""
    halves = [gauge("DCGM_FI_DEV_POWER_USAGE", 300, GPU), gauge("DCGM_FI_PROF_GR_ENGINE_ACTIVE", 0.9, GPU)]
    outcomes = [land(desk, "metrics", metrics(half)) for half in (halves if first else reversed(halves))]

    assert [(one.landed, one.superseded, one.conflicts) for one in outcomes] == [(1, 0, 0), (0, 1, 0)]
    assert desk.samples("active_ppm", "power_milliwatts") == [(900_000, 300_000)]


def test_the_workload_of_an_exporter_without_honoured_labels(desk: Desk) -> None:
    """`exported_*` are the workload's, and the plain ones the exporter's own."""
    said = GPU | {"pod": "dcgm-0", "namespace": "monitoring", "exported_pod": "vllm-0", "exported_namespace": "llm"}
    land(desk, "metrics", metrics(gauge("DCGM_FI_DEV_GPU_UTIL", 5, said)))

    assert desk.samples("pod", "namespace") == [("vllm-0", "llm")]


def test_time_sliced_devices_count_once(desk: Desk) -> None:
    """Every pod that shares the device reports it; nobody in particular is named."""
    made = [gauge("DCGM_FI_DEV_GPU_UTIL", 99, GPU | {"namespace": "llm", "pod": f"p{number}"}) for number in range(4)]
    outcome = land(desk, "metrics", metrics(*made))

    assert (outcome.landed, outcome.conflicts) == (1, 0)
    assert desk.samples("active_ppm", "namespace", "pod") == [(990_000, "llm", "")]


def test_mig_instances_are_apart_and_get_nothing_of_the_whole_device(desk: Desk) -> None:
    """Power, energy and utilization are repeated on every instance; adding them up would count the device twice."""
    slices = [GPU | {"GPU_I_PROFILE": "1g.10gb", "GPU_I_ID": number} for number in ("7", "9")]
    made = [
        metric
        for said in slices
        for metric in (
            gauge("DCGM_FI_PROF_GR_ENGINE_ACTIVE", 0.5, said),
            gauge("DCGM_FI_DEV_POWER_USAGE", 288.1, said),
            gauge("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", 100, said, shape="sum"),
        )
    ]
    land(desk, "metrics", metrics(*made))

    assert desk.samples("mig_profile", "active_ppm", "power_milliwatts", "energy_millijoules") == [
        ("1g.10gb/7", 500_000, None, None),
        ("1g.10gb/9", 500_000, None, None),
    ]


@BOTH
def test_hardware_conventions_are_read(desk: Desk, content_type: str) -> None:
    """OpenTelemetry's own names; of power only the GPUs', of utilization only the general one."""
    said = {"hw.id": "GPU-1", "hw.type": "gpu"}
    found = metrics(
        gauge("hw.gpu.utilization", 0.5, said, unit="1"),
        gauge("hw.gpu.utilization", 0.9, said | {"hw.gpu.task": "encoder"}, unit="1"),
        gauge("hw.gpu.memory.usage", 1024, said, unit="By", shape="sum"),
        gauge("hw.power", 300.5, said, unit="W"),
        gauge("hw.power", 90.0, {"hw.id": "cpu0", "hw.type": "cpu"}, unit="W"),
        resource={"host.name": "n7"},
    )
    land(desk, "metrics", found, content_type)

    assert desk.samples("gpu_uuid", "node", "active_ppm", "memory_used_bytes", "power_milliwatts") == [
        ("GPU-1", "n7", 500_000, 1024, 300_500)
    ]
    assert dict(decoded("metrics", found, content_type).ignored) == {"no_gpu": 2}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@BOTH
def test_a_reading_that_is_no_number_is_absent_and_not_zero(value: float, content_type: str) -> None:
    """Exporters send it where a device has no such counter."""
    request = metrics(gauge("DCGM_FI_PROF_GR_ENGINE_ACTIVE", value, GPU), gauge("DCGM_FI_DEV_POWER_USAGE", 70.5, GPU))
    (record,) = records("metrics", request, content_type)

    assert (record.get("active_ratio"), record["power_watts"]) == (None, 70.5)


@BOTH
def test_a_point_without_a_value_is_ignored(content_type: str) -> None:
    """A flag says that a series ended."""
    ended = gauge("DCGM_FI_DEV_GPU_UTIL", 0, GPU)
    ended["gauge"]["dataPoints"][0]["flags"] = 1

    assert decoded("metrics", metrics(ended), content_type).records == 0


def test_other_metrics_are_counted_and_no_error() -> None:
    """What is no gauge of a GPU says nothing here."""
    found = decoded("metrics", metrics(gauge("http.server.active_requests", 3, {})))

    assert (found.records, found.items, dict(found.ignored)) == (0, 1, {"other_metric": 1})


def test_a_ratio_beyond_one_is_rejected(desk: Desk) -> None:
    """Landing judges samples from here like any other."""
    outcome = land(desk, "metrics", metrics(gauge("DCGM_FI_PROF_GR_ENGINE_ACTIVE", 1.5, GPU)))

    assert (outcome.landed, outcome.rejected) == (0, 1)


def test_a_scrape_as_the_exporter_really_writes_it(desk: Desk) -> None:
    """NVIDIA's exporter, scraped by a collector: whole GPUs and two MIG instances, one sample each."""
    lines = re.findall(r"^(\w+)\{(.*)\} (\S+)$", shared("samples", "dcgm_metrics.txt").read_text(), re.MULTILINE)
    made = [gauge(name, float(value), dict(re.findall(r'(\w+)="([^"]*)"', labels))) for name, labels, value in lines]
    outcome = land(desk, "metrics", metrics(*made), PROTOBUF)
    columns = ("mig_profile", "pod", "active_ppm", "power_milliwatts", "energy_millijoules")

    assert (outcome.landed, outcome.rejected, outcome.conflicts) == (5, 0, 0)
    assert sorted(desk.samples(*columns), key=str) == [
        ("", "", 0, 71_200, 612_300_000_000),
        ("", "vllm-qwen3-32b-6c9d-abcde", 958_000, 609_800, 5_181_200_000_000),
        ("", "vllm-qwen3-32b-6c9d-abcde", 963_000, 612_400, 5_187_300_000_000),
        ("1g.10gb/9", "", 0, None, None),
        ("3g.40gb/1", "vllm-small-0", 410_000, None, None),
    ]
