"""`apportion inventory`: rows from what Kubernetes says, and from published results."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from apportion.cli import main
from apportion.cli.kubernetes_inventory import State
from apportion.domain.errors import InputError
from tests.frozen import FrozenClock
from tests.shared_data import shared

NODE = 'kube_node_labels{{node="{0}",label_node_kubernetes_io_instance_type="p5.48xlarge",label_nvidia_com_gpu_product="{1}",label_karpenter_sh_capacity_type="{2}"}} 1\n'
HAS = 'kube_node_status_allocatable{{node="{0}",resource="nvidia_com_gpu",unit="integer"}} {1}\n'
ASKS = 'kube_pod_container_resource_requests{{namespace="llm",pod="{0}",container="c",node="{1}",resource="{2}",unit="integer"}} {3}\n'
MADE = 'kube_pod_info{{namespace="llm",pod="{0}",node="n1",created_by_kind="{1}",created_by_name="{2}"}} 1\n'
LABELS = 'kube_pod_labels{{namespace="llm",pod="{0}",label_llm_d_ai_model="{1}",label_team="{2}"}} 1\n'
H100 = "NVIDIA-H100-80GB-HBM3"


def rows(*lines: str) -> dict[str, list[dict[str, object]]]:
    """The tables that a page makes."""
    return tomllib.loads(State("".join(lines).encode()).rows(FrozenClock().now()))


def test_pods_of_one_controller_are_a_deployment() -> None:
    """GPUs add up, the hash of the ReplicaSet is no part of its name, models and team are those of the labels."""
    found = rows(
        NODE.format("n1", H100, "on-demand"), HAS.format("n1", 8),
        *(ASKS.format(f"vllm-6c9d-{pod}", "n1", "nvidia_com_gpu", 2) for pod in "ab"),
        *(MADE.format(f"vllm-6c9d-{pod}", "ReplicaSet", "vllm-6c9d") for pod in "ab"),
        *(LABELS.format(f"vllm-6c9d-{pod}", "Qwen3", "ads") for pod in "ab"),
    )  # fmt: skip
    (pool,), (deployment,) = found["pools"], found["deployments"]

    assert (pool["id"], pool["gpu"], pool["gpus"]) == ("p5.48xlarge", "H100_SXM", 8)
    assert (deployment["id"], deployment["pool"], deployment["gpus"]) == ("vllm", "p5.48xlarge", 4)
    assert (deployment["models"], deployment["owner"]) == (["Qwen3"], "ads")
    assert deployment["match"] == {"namespace": "llm", "pod": "vllm-*"}


def test_nodes_of_one_kind_are_a_pool() -> None:
    """Spot nodes are a pool of their own; an unknown product is left to be corrected; a lone pod matches by its name."""
    found = rows(
        NODE.format("n1", H100, "on-demand"), NODE.format("n2", H100, "on-demand"), NODE.format("n3", "Acme-9000", "spot"),
        HAS.format("n1", 8), HAS.format("n2", 8), ASKS.format("lone", "n3", "nvidia_com_gpu", 1),
    )  # fmt: skip

    assert [(pool["id"], pool["gpu"], pool["gpus"]) for pool in found["pools"]] == [
        ("p5.48xlarge", "H100_SXM", 16),
        ("p5.48xlarge-spot", "Acme-9000", 1),
    ]
    assert found["deployments"][0]["match"] == {"namespace": "llm", "pod": "lone"}


def test_parts_of_gpus_are_no_whole_ones() -> None:
    """MIG slices and shares are a comment, so that a GPU is never counted for each of them."""
    page = HAS.format("n1", 8) + "".join(
        ASKS.format("small", "n1", resource, 2) for resource in ("nvidia_com_mig_3g_40gb", "nvidia_com_gpu_shared")
    )
    said = State(page.encode()).rows(FrozenClock().now())

    assert "deployments" not in tomllib.loads(said)
    assert "# llm/small holds parts of GPUs (2 nvidia_com_gpu_shared, 2 nvidia_com_mig_3g_40gb)" in said


@pytest.mark.parametrize("page", [b"", b"<html>\n", b"kube_pod_info{ 1\n", b"up 1\n", HAS.format("n1", "NaN").encode()])
def test_a_page_without_gpus_is_refused(page: bytes) -> None:
    """With what is missing, or what it is instead."""
    with pytest.raises(InputError, match="page"):
        State(page)


def test_the_command_prints_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As TOML to paste, or within JSON; a file that is not there is a sentence."""
    page = tmp_path / "ksm.txt"
    page.write_text(NODE.format("n1", H100, "") + HAS.format("n1", 8), encoding="utf-8")
    assert main(["inventory", "--kubernetes", str(page), "--since", "2026-10-01T00:00Z"]) == 0
    text = capsys.readouterr().out
    assert tomllib.loads(text)["pools"][0]["effective_from"].isoformat() == "2026-10-01T00:00:00+00:00"

    assert main(["inventory", "--kubernetes", str(page), "--since", "2026-10-01T00:00Z", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] + "\n" == text

    assert main(["inventory", "--kubernetes", str(tmp_path / "none")]) == 1
    assert "none cannot be read" in capsys.readouterr().err


def test_the_sample_of_a_cluster_makes_rows() -> None:
    """A page as kube-state-metrics writes it: a node of two GPUs asked for, held by one Deployment."""
    found = tomllib.loads(State(shared("samples/kube_state_metrics.txt").read_bytes()).rows(FrozenClock().now()))

    assert [(pool["gpu"], pool["gpus"]) for pool in found["pools"]] == [("H100_SXM", 2)]
    assert [(one["id"], one["models"]) for one in found["deployments"]] == [("vllm-qwen3-32b", ["Qwen3-32B"])]
