"""Rows for `[[pools]]` and `[[deployments]]` from a page of kube-state-metrics, to be checked and pasted.

Metrics and labels are those of kube-state-metrics (docs/metrics of kubernetes/kube-state-metrics) and of NVIDIA's GPU feature
discovery: `kube_node_labels` with the product, `kube_node_status_allocatable` for how many a node has,
`kube_pod_container_resource_requests` for who holds them, `kube_pod_info` for the controller of a pod, and `kube_pod_labels`.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from apportion.catalog import products
from apportion.config.values import stamp
from apportion.domain.errors import InputError
from ingest.prometheus.exposition import PageError, known_lines, labels, parsed

_WHOLE: Final = ("nvidia_com_gpu", "amd_com_gpu")
_PARTS: Final = re.compile(r"nvidia_com_mig_(?P<slice>\d)g_\w+|nvidia_com_gpu_shared")
_NAMES: Final = (
    b"kube_node_labels", b"kube_node_status_allocatable", b"kube_pod_container_resource_requests", b"kube_pod_info",
    b"kube_pod_labels",
)  # fmt: skip
_PRODUCT: Final = ("label_nvidia_com_gpu_product", "label_amd_com_gpu_product_name")
_INSTANCE: Final = "label_node_kubernetes_io_instance_type"
_CAPACITY: Final = (
    "label_karpenter_sh_capacity_type",
    "label_eks_amazonaws_com_capacityType",
    "label_cloud_google_com_gke_spot",
)
_MODEL: Final = ("label_llm_d_ai_model", "label_model")
_TEAM: Final = "label_team"
_HASHED: Final = {"ReplicaSet": re.compile(r"-[a-z0-9]{4,10}$")}

Labels = Mapping[str, str]


@dataclass(kw_only=True)
class Workload:
    """Pods of one controller that hold GPUs of one pool.

    Attributes:
        pool: id of it.
        namespace: of the pods.
        name: of the controller.
        pods: whose names say so.
        gpus: whole ones they ask for.
        parts: what else they ask for.
        models: that their labels name.
        team: that their labels name, or empty.
    """

    pool: str
    namespace: str
    name: str
    pods: set[str] = field(default_factory=set)
    gpus: int = 0
    parts: set[str] = field(default_factory=set)
    models: set[str] = field(default_factory=set)
    team: str = ""


class State:
    """What one page says of a cluster."""

    def __init__(self, page: bytes) -> None:
        """Raises: InputError for a page that is none, or has no GPU."""
        self._nodes: dict[str, Labels] = {}
        self._allocatable: defaultdict[str, int] = defaultdict(int)
        self._requests: list[tuple[Labels, int]] = []
        self._pods: defaultdict[tuple[str, str], dict[str, str]] = defaultdict(dict)
        try:
            for line in known_lines(page, _NAMES):
                name, written, value = parsed(line)
                self._take(name, labels(written), int(float(value)))
        except (PageError, ValueError, OverflowError) as error:
            raise InputError(f"this is no page of kube-state-metrics: {error}") from None
        if not self._requests and not self._allocatable:
            raise InputError(
                "the page shows no GPU: neither kube_node_status_allocatable nor kube_pod_container_resource_requests has one"
            )

    def _take(self, name: bytes, found: dict[str, str], value: int) -> None:
        if name == b"kube_node_labels":
            self._nodes[found.get("node", "")] = found
        elif name in {b"kube_pod_info", b"kube_pod_labels"}:
            self._pods[found.get("namespace", ""), found.get("pod", "")].update(found)
        elif name == b"kube_node_status_allocatable":
            if found.get("resource") in _WHOLE:
                self._allocatable[found.get("node", "")] += value
        elif value and (found.get("resource") in _WHOLE or _PARTS.fullmatch(found.get("resource", ""))):
            self._requests.append((found, value))

    def rows(self, since: datetime) -> str:
        """The tables, in force from a time on; what the page leaves open is a comment."""
        workloads = self._workloads()
        return "\n".join([*self._pools(since), *(row for one in workloads for row in _deployment(one, since))])

    def _pools(self, since: datetime) -> Iterator[str]:
        held: defaultdict[str, int] = defaultdict(int)
        for request, gpus in self._requests:
            if request.get("resource") in _WHOLE:
                held[request.get("node", "")] += gpus
        pools: defaultdict[str, list[str]] = defaultdict(list)
        for node in sorted({*held, *self._allocatable}):
            pools[self._pool(node)].append(node)
        for pool, nodes in sorted(pools.items()):
            product = _first(self._nodes.get(nodes[0], {}), _PRODUCT)
            known = products.gpu_of(product)
            counted = all(node in self._allocatable for node in nodes)
            yield "[[pools]]"
            yield f"id = {_text(pool)}"
            yield f"gpu = {_text(known or product or 'UNKNOWN')}" + (
                "" if known else "  # not in the hardware catalog: correct it"
            )
            gpus = sum(max(self._allocatable.get(node, 0), held[node]) for node in nodes)
            yield f"gpus = {gpus}" + (
                "" if counted else "  # at least: the page shows what pods ask for, not what the nodes have"
            )
            yield f"effective_from = {stamp(since)}  # {len(nodes)} nodes: {', '.join(nodes[:4])}{' and more' if len(nodes) > 4 else ''}\n"  # noqa: PLR2004

    def _pool(self, node: str) -> str:
        found = self._nodes.get(node, {})
        kind = found.get(_INSTANCE) or _first(found, _PRODUCT) or "unlabelled"
        capacity = _first(found, _CAPACITY).lower().replace("_", "-").replace("true", "spot")
        return f"{kind}-{capacity}" if capacity and capacity != "on-demand" else kind

    def _workloads(self) -> list[Workload]:
        found: dict[tuple[str, str, str], Workload] = {}
        for request, gpus in self._requests:
            place = request.get("namespace", ""), request.get("pod", "")
            pod = self._pods.get(place, {})
            node = request.get("node") or pod.get("node", "")
            name = _controller(pod) or place[1]
            key = self._pool(node), place[0], name
            one = found.setdefault(key, Workload(pool=key[0], namespace=place[0], name=name))
            one.pods.add(place[1])
            if request.get("resource") in _WHOLE:
                one.gpus += gpus
            else:
                one.parts.add(f"{gpus} {request.get('resource')}")
            one.models |= {model for model in [_first(pod, _MODEL)] if model}
            one.team = one.team or pod.get(_TEAM, "")
        return [found[key] for key in sorted(found)]


def _deployment(one: Workload, since: datetime) -> Iterator[str]:
    if not one.gpus:
        yield f"# {one.namespace}/{one.name} holds parts of GPUs ({', '.join(sorted(one.parts))}): name the whole ones yourself\n"
        return
    yield "[[deployments]]"
    yield f"id = {_text(one.name)}"
    yield f"pool = {_text(one.pool)}"
    yield f"gpus = {one.gpus}"
    yield f"models = {json.dumps(sorted(one.models), ensure_ascii=False)}" + (
        "" if one.models else "  # name what it serves"
    )
    if one.team:
        yield f"owner = {_text(one.team)}"
    pattern = one.name if one.pods == {one.name} else f"{one.name}-*"
    yield f"match = {{ namespace = {_text(one.namespace)}, pod = {_text(pattern)} }}"
    yield f"effective_from = {stamp(since)}\n"


def _controller(pod: Labels) -> str:
    """A Deployment's pods are made by a ReplicaSet that is named after it, with a hash behind."""
    made_by = pod.get("created_by_name", "")
    hashed = _HASHED.get(pod.get("created_by_kind", ""))
    return hashed.sub("", made_by) if hashed else made_by


def _first(found: Labels, names: tuple[str, ...]) -> str:
    return next((found[name] for name in names if found.get(name)), "")


def _text(text: str) -> str:
    """A TOML basic string; JSON escapes alike."""
    return json.dumps(text, ensure_ascii=False)
