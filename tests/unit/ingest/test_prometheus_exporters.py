"""What each exporter's page comes to: canonical records, held against files, and the rules of engines one by one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ingest.formats import otlp_gpu
from ingest.prometheus import families
from tests.shared_data import shared
from tests.unit.ingest.desk import Desk
from tests.unit.ingest.pages import AT_NS, engines, gpus, read, target

PAGES = (
    "dcgm_metrics",
    "dcgm_metrics_shared_and_renamed",
    "amd_gpu_metrics",
    "vllm_metrics",
    "sglang_metrics",
    "sglang_metrics_custom_tenant_labels",
    "tgi_metrics",
    "trtllm_metrics",
    "llamacpp_metrics",
    "dynamo_frontend_metrics",
)
GPU = 'gpu="0",UUID="GPU-1",Hostname="n1"'
RANK = 'model_name="m",pp_rank="0",tp_rank="{}"'


@pytest.mark.parametrize("name", PAGES)
def test_golden_pages_of_exporters(golden: Callable[[str, str], None], name: str) -> None:
    """Every field of every record, to the digit; and a page that was read before says the same again."""
    asked = target()
    page = shared("samples", f"{name}.txt").read_bytes()
    first, second = asked.read(page, AT_NS), asked.read(page, AT_NS)
    text = b"".join(line + b"\n" for line in [*first.gpu, *first.engine]).decode()

    assert (first.gpu, first.engine, first.ignored) == (second.gpu, second.engine, {})
    golden(f"telemetry/{name}.ndjson", text)


@pytest.mark.parametrize("name", PAGES)
def test_every_record_of_a_page_lands(desk: Desk, name: str) -> None:
    """What is assembled is what landing believes."""
    found = read(shared("samples", f"{name}.txt").read_bytes())
    for kind, lines in (("gpu", found.gpu), ("engine", found.engine)):
        outcome = desk.hand_in(*lines, format_name=kind)

        assert (outcome.landed, outcome.rejected, outcome.conflicts) == (len(lines), 0, 0)


def test_a_missing_engine_reading_is_absent_not_zero() -> None:
    """What a page does not say is in no record: not as zero, and not as null."""
    (record,) = engines('vllm:generation_tokens_total{engine="0",model_name="m"} 5\n')

    assert record == {"engine": "0", "model": "m", "output_tokens": 5}


def test_prompt_tokens_by_source_are_believed_before_their_totals() -> None:
    """They add up; the totals of older releases are read where there are no others."""
    totals = 'vllm:prompt_tokens_total{engine="0"} 10\nvllm:prompt_tokens_cached_total{engine="0"} 4\n'
    sources = "".join(
        f'vllm:prompt_tokens_by_source_total{{engine="0",source="{source}"}} {tokens}\n'
        for source, tokens in (("local_compute", 5), ("local_cache_hit", 4), ("external_kv_transfer", 3))
    )

    assert engines(totals) == [{"engine": "0", "prompt_tokens": 10, "cache_read_tokens": 4}]
    assert engines(totals + sources) == [
        {"engine": "0", "prompt_tokens": 12, "cache_read_tokens": 7, "cache_read_storage_tokens": 3}
    ]


def test_tiers_of_a_cache_are_believed_before_what_a_connector_brought() -> None:
    """The host's memory is told apart from disks and other nodes; what a tier says nothing of is absent, never 0."""

    def page(**tiers: int) -> str:
        transferred = 'vllm:prompt_tokens_by_source_total{engine="0",source="external_kv_transfer"} 90\n'
        return transferred + "".join(
            f'vllm:prompt_tokens_cached_by_source_total{{engine="0",source="{tier}"}} {tokens}\n'
            for tier, tokens in tiers.items()
        )

    known = {"engine": "0", "prompt_tokens": 90, "cache_read_tokens": 90}

    assert engines(page(device=500, host=20, disk=4, p2p=2, external_unspecified=1)) == [
        {**known, "cache_read_host_tokens": 20, "cache_read_storage_tokens": 7}
    ]
    assert engines(page(device=500, host=20)) == [{**known, "cache_read_host_tokens": 20}]
    assert engines(page(device=500)) == [known]
    assert engines(page()) == [{**known, "cache_read_storage_tokens": 90}]


def test_requests_are_finished_or_aborted_never_both() -> None:
    """By reason: whoever wants all of them adds the two."""
    reasons = {"stop": 5, "length": 3, "abort": 2, "error": 1, "repetition": 1}
    page = "".join(f'vllm:request_success_total{{finished_reason="{said}"}} {n}\n' for said, n in reasons.items())

    assert engines(page) == [{"requests": 10, "aborted_requests": 2}]


@pytest.mark.parametrize("old", ["kv_cache_usage_perc", "gpu_cache_usage_perc"])
def test_renamed_metrics_of_vllm_are_one(old: str) -> None:
    """The older name says the same."""
    assert engines(f'vllm:{old}{{engine="0"}} 0.5\n') == [{"engine": "0", "kv_cache_ratio": 0.5}]


def test_engines_and_models_of_one_page_are_records_of_their_own() -> None:
    """Nothing is added up over them before it is differenced."""
    page = "".join(
        f'vllm:generation_tokens_total{{engine="{engine}",model_name="{model}"}} {engine}{len(model)}\n'
        for engine in (1, 2)
        for model in ("a", "bb")
    )

    assert [(one["engine"], one["model"], one["output_tokens"]) for one in engines(page)] == [
        ("1", "a", 11),
        ("1", "bb", 12),
        ("2", "a", 21),
        ("2", "bb", 22),
    ]


def test_replicas_behind_one_ray_agent_are_engines_of_their_own() -> None:
    """All have engine 0; the agent's process is not theirs. Where names with and without _total stand, one is read."""
    page = "process_start_time_seconds 1790000000\n" + "".join(
        f'ray_vllm_generation_tokens{suffix}{{engine="0",model_name="m",ReplicaId="{replica}",WorkerId="w"}} {tokens}\n'
        for replica, tokens in (("r1", 5), ("r2", 7))
        for suffix in ("", "_total")
    )

    assert engines(page) == [
        {"engine": "r1/w/0", "model": "m", "output_tokens": 5},
        {"engine": "r2/w/0", "model": "m", "output_tokens": 7},
    ]


def test_cached_tokens_add_up_over_their_sources() -> None:
    """A request's are told apart, or stand under `total`; never both."""
    sources = {"device": 1, "host": 2, "storage_hf3fs": 4, "total": 8}
    page = "".join(
        f'sglang:cached_tokens_total{{model_name="m",cache_source="{said}"}} {n}\n' for said, n in sources.items()
    )

    assert engines(page) == [
        {"model": "m", "cache_read_tokens": 15, "cache_read_host_tokens": 2, "cache_read_storage_tokens": 4}
    ]


@pytest.mark.parametrize("source", ["device", "total"])
def test_cached_tokens_of_the_gpu_tell_of_no_other_tier(source: str) -> None:
    """Nor do those whose source is not told."""
    page = f'sglang:cached_tokens_total{{model_name="m",cache_source="{source}"}} 9\n'

    assert engines(page) == [{"model": "m", "cache_read_tokens": 9}]


def test_ranks_of_one_scheduler_count_once() -> None:
    """Tensor- and pipeline-parallel ranks repeat the scheduler's readings; the lowest speaks for all."""
    page = "".join(
        f'sglang:scheduler_idle_seconds_total{{model_name="m",pp_rank="{pp}",tp_rank="{tp}"}} {pp}{tp}\n'
        for pp in ("1", "0")
        for tp in ("10", "9", "0")
    )

    assert engines(page) == [{"model": "m", "idle_seconds": 0}]


def test_data_parallel_ranks_are_engines() -> None:
    """Each schedules for itself, also where its lowest tensor-parallel rank is not 0; the tokenizer counts for all of them."""
    page = 'sglang:generation_tokens_total{model_name="m"} 9\n' + "".join(
        f'sglang:forward_execution_seconds_total{{model_name="m",dp_rank="{dp}",tp_rank="{tp}",category="decode"}} {tp}.5\n'
        for dp, tp in (("0", 0), ("0", 1), ("1", 4), ("1", 5))
    )

    assert engines(page) == [
        {"model": "m", "output_tokens": 9},
        {"engine": "0", "model": "m", "decode_seconds": 0.5},
        {"engine": "1", "model": "m", "decode_seconds": 4.5},
    ]


def test_seconds_of_forward_passes_are_of_a_phase_and_idle_is_none() -> None:
    """Mixed batches are prefill's; verifying a draft is decoding."""
    seconds = {
        "extend": 1,
        "split_prefill": 2,
        "mixed": 4,
        "decode": 8,
        "target_verify": 16,
        "idle": 32,
        "unheard_of": 64,
    }
    page = "".join(
        f'sglang:forward_execution_seconds_total{{{RANK.format(0)},category="{said}"}} {n}\n'
        for said, n in seconds.items()
    )

    assert engines(page) == [{"model": "m", "prefill_seconds": 7, "decode_seconds": 24}]


def test_wall_times_of_requests_are_no_phase_seconds() -> None:
    """Requests share the GPU: the times of all of them are many times its own."""
    page = (
        'vllm:request_prefill_time_seconds_sum{engine="0"} 44000\nvllm:request_decode_time_seconds_sum{engine="0"} 1047500\n'
        "trtllm_request_prefill_time_seconds_sum 43000\ntrtllm_request_decode_time_seconds_sum 1040000\n"
    )

    assert engines(page) == []


def test_what_llama_cpp_processed_is_not_what_it_was_asked() -> None:
    """Its count leaves cached tokens out, so that how many there were is unknown."""
    found = engines(
        "llamacpp:prompt_tokens_total 912345\nllamacpp:prompt_seconds_total 812.4\n", url="http://a:1/metrics?model=q"
    )

    assert found == [{"model": "q", "prefill_seconds": 812.4}]


def test_what_llama_cpp_had_in_its_cache_completes_what_it_was_asked() -> None:
    """A release that counts cached tokens beside the others tells of both, and so of all."""
    found = engines(
        "llamacpp:prompt_tokens_total 288\nllamacpp:prompt_tokens_cached_total 1030\n", url="http://a:1/metrics?model=q"
    )

    assert found == [{"model": "q", "prompt_tokens": 1318, "cache_read_tokens": 1030}]


@pytest.mark.parametrize(
    ("page", "started"),
    [
        ("process_start_time_seconds 1792050000.25\n", "2026-10-15T07:40:00.250000Z"),
        ('vllm:prompt_tokens_created{engine="0"} 1.7920500005e+09\n', "2026-10-15T07:40:00.500000Z"),
        (
            "process_start_time_seconds 1\nvllm:prompt_tokens_created 1792050002\nvllm:generation_tokens_created 1792050001\n",
            "2026-10-15T07:40:01.000000Z",
        ),
        ("process_start_time_seconds 0\n", None),
        ("process_start_time_seconds NaN\n", None),
        ("process_start_time_seconds 1999999999\n", None),
    ],
)
def test_counters_say_since_when_they_count(page: str, started: str | None) -> None:
    """The counter's own beginning, the earliest of them, else the process's; a clock that runs ahead does not tell."""
    (record,) = engines(page.replace('{engine="0"}', "") + "vllm:generation_tokens_total 1\n")

    assert record.get("started_at") == started


def test_a_page_that_only_tells_since_when_is_no_record() -> None:
    """A beginning without a counter says nothing."""
    assert engines('process_start_time_seconds 1792050000\nvllm:prompt_tokens_created{engine="0"} 1792050000\n') == []


def test_a_front_end_is_read_only_where_it_is_asked_for() -> None:
    """The engines behind it count the same tokens."""
    page = 'dynamo_frontend_output_tokens_total{model="m"} 5\nvllm:generation_tokens_total{model_name="m"} 5\n'

    assert [one.get("output_tokens") for one in engines(page, families=("vllm",))] == [5]


def test_time_sliced_gpus_never_count_twice() -> None:
    """Every sharer reports the device's own reading; it is one device, of which none of them has all."""
    page = "".join(
        f'DCGM_FI_DEV_GPU_UTIL{{{GPU},namespace="{who}",pod="{who}-0",vgpu="{n}"}} 99\n'
        for n, who in enumerate(("a", "b", "c"))
    )

    assert gpus(page) == [{"node": "n1", "gpu_uuid": "GPU-1", "active_ratio": 0.99}]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_what_shares_tell_of_their_own_work_adds_up(order: tuple[int, ...]) -> None:
    """Shares that differ are told of by themselves, and the device does what all do; whichever comes first."""
    page = "".join(
        f'{name}{{{GPU},pod="p-{share}",vgpu="{share}"}} {values[share]}\n'
        for name, values in (
            ("DCGM_FI_DEV_GPU_UTIL", (30, 0, 45)),
            ("DCGM_FI_DEV_FB_USED", (100, 7, 100)),
            ("DCGM_FI_DEV_POWER_USAGE", (300, 300, 300)),
        )
        for share in order
    )

    assert gpus(page) == [
        {"node": "n1", "gpu_uuid": "GPU-1", "active_ratio": 0.75, "memory_used_bytes": 207 * 2**20, "power_watts": 300}
    ]


def test_shares_are_never_more_than_the_device() -> None:
    """Their readings are rounded, and of times a little apart."""
    page = "".join(f'DCGM_FI_DEV_GPU_UTIL{{{GPU},vgpu="{share}"}} {value}\n' for share, value in enumerate((60, 41)))

    assert gpus(page) == [{"node": "n1", "gpu_uuid": "GPU-1", "active_ratio": 1}]


def test_the_exporter_s_own_pod_is_no_workload() -> None:
    """Where nothing runs on a device, a Prometheus sets the pod that it scraped; what a source says itself stays."""
    own = 'namespace="monitoring",pod="nvidia-dcgm-exporter-78z52",container="nvidia-dcgm-exporter"'
    page = f"DCGM_FI_PROF_GR_ENGINE_ACTIVE{{{GPU},{own}}} 0\n"
    idle = {"node": "n1", "gpu_uuid": "GPU-1", "active_ratio": 0}

    assert gpus(page) == [idle]
    assert gpus(page, constants={"namespace": "llm"}) == [idle | {"namespace": "llm"}]
    assert gpus(page.replace(own, f'{own},exported_pod="vllm-0"'))[0]["pod"] == "vllm-0"


@pytest.mark.parametrize("label", ["node", "kubernetes_node"])
def test_a_gpu_s_node_is_also_what_a_prometheus_calls_it(label: str) -> None:
    """An exporter that does not say its host is on the node that discovery found; its own word comes first."""
    page = f'DCGM_FI_PROF_GR_ENGINE_ACTIVE{{UUID="GPU-1",{label}="n7"}} 0.5\n'

    assert gpus(page) == [{"node": "n7", "gpu_uuid": "GPU-1", "active_ratio": 0.5}]
    assert gpus(page.replace("{", '{Hostname="n1",'))[0]["node"] == "n1"


def test_mig_slices_have_no_share_of_what_is_the_device_s() -> None:
    """Power, energy and utilization stand at every instance; which part of them is whose is unknown."""
    page = "".join(
        f'{name}{{{GPU},GPU_I_PROFILE="1g.10gb",GPU_I_ID="{number}"}} 5\n'
        for name in (
            "DCGM_FI_DEV_POWER_USAGE",
            "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION",
            "DCGM_FI_DEV_GPU_UTIL",
            "DCGM_FI_DEV_FB_USED",
        )
        for number in (7, 9)
    )

    assert gpus(page) == [
        {"node": "n1", "gpu_uuid": "GPU-1", "mig_profile": f"1g.10gb/{number}", "memory_used_bytes": 5 * 2**20}
        for number in (7, 9)
    ]


@pytest.mark.parametrize("partition", ["1", "7"])
def test_only_partition_0_speaks_for_an_amd_device(partition: str) -> None:
    """A zero of another partition is no reading of the device."""
    page = "".join(f'gpu_gfx_activity{{gpu_uuid="u",gpu_partition_id="{said}"}} {said}\n' for said in (partition, "0"))

    assert gpus(page) == [{"gpu_uuid": "u", "active_ratio": 0}]


@pytest.mark.parametrize("prefix", ["", "amd_"])
def test_package_power_of_amd_is_believed_before_the_other(prefix: str) -> None:
    """Both are watts; a prefix that the exporter was given changes nothing."""
    page = f'{prefix}gpu_power_usage{{gpu_uuid="u"}} 600\n{prefix}gpu_package_power{{gpu_uuid="u"}} 650\n'

    assert gpus(page) == [{"gpu_uuid": "u", "power_watts": 650}]


@pytest.mark.parametrize(
    "said",
    [
        'exported_namespace="llm",exported_pod="p",exported_container="c",namespace="mon",pod="dcgm",container="x"',
        'namespace="llm",pod="p",container="c"',
        'pod_namespace="llm",pod_name="p",container_name="c"',
    ],
)
def test_the_workload_s_labels_by_all_their_names(said: str) -> None:
    """What an exporter says of the workload wins over what a server says of the exporter."""
    (record,) = gpus(f'DCGM_FI_DEV_POWER_USAGE{{uuid="GPU-1",hostname="n1",{said}}} 1\n')

    assert {name: record[name] for name in ("gpu_uuid", "node", "namespace", "pod", "container")} == {
        "gpu_uuid": "GPU-1",
        "node": "n1",
        "namespace": "llm",
        "pod": "p",
        "container": "c",
    }


def test_a_source_says_places_by_labels_and_constants_of_its_own() -> None:
    """A constant is said of everything; a label of the source's is looked at instead of the usual ones."""
    how = {"labels": {"node": "instance_node", "deployment": "app"}, "constants": {"cluster": "eu", "gpu": "H100_SXM"}}
    page = (
        f'DCGM_FI_DEV_POWER_USAGE{{{GPU},instance_node="n9",cluster="us"}} 1\n'
        'vllm:generation_tokens_total{engine="0",model_name="m",app="llama",instance_node="n9",node="x"} 1\n'
    )

    assert gpus(page, **how) == [
        {"cluster": "eu", "gpu": "H100_SXM", "gpu_uuid": "GPU-1", "node": "n9", "power_watts": 1}
    ]
    assert engines(page, **how) == [
        {"engine": "0", "model": "m", "cluster": "eu", "node": "n9", "deployment": "llama", "output_tokens": 1}
    ]


def test_a_tenant_s_label_does_not_place_an_engine() -> None:
    """Token counters by tenant are added up, whatever their label is called; what the engine's series differ in is unknown."""
    page = (
        'sglang:generation_tokens_total{model_name="m",namespace="ads"} 3\n'
        'sglang:generation_tokens_total{model_name="m",namespace="search"} 4\n'
        'sglang:num_running_reqs{model_name="m",tp_rank="0"} 1\n'
    )

    assert engines(page) == [{"model": "m", "output_tokens": 7, "requests_running": 1}]


def test_scraped_pages_and_otlp_read_one_table() -> None:
    """A metric that one of them learns, the other knows."""
    scraped = {
        name for name in families.names(frozenset(families.FAMILIES)) if families.software_of(name) in {"dcgm", "amd"}
    }

    assert scraped == {name for name in otlp_gpu.NAMES if not name.startswith("hw.")}
