"""What a series is: of which engine or GPU, where that is, and what its value adds to which field. Decided once per series."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, NamedTuple

from ingest import gpu_families
from ingest.gpu_families import FAMILIES as GPU
from ingest.gpu_samples import Device, device_of, first_text
from ingest.prometheus.families import METRICS, PROCESS_START, Engine, Part

TARGET_LABELS: Final = (
    "job",
    "instance",
    "cluster",
    "namespace",
    "pod",
    "container",
    "node",
    "prometheus",
    "prometheus_replica",
    "replica",
    "receive_replica",
)
"""What a server says of who was scraped by whom; series that differ in these are of different scrapes."""

_ENGINE_PLACES: Final[dict[str, tuple[str, ...]]] = {
    "cluster": gpu_families.PLACES["cluster"],
    "node": tuple(dict.fromkeys(("node", "kubernetes_node", *gpu_families.PLACES["node"]))),
    "namespace": (*gpu_families.PLACES["namespace"], "kubernetes_namespace"),
    "pod": (*gpu_families.PLACES["pod"], "kubernetes_pod_name"),
}
ENGINE_FIELDS: Final = ("cluster", "node", "deployment", "namespace", "pod", "replica")
GPU_FIELDS: Final = ("gpu", "cluster", "node", "deployment", "namespace", "pod", "container")


class Owner(NamedTuple):
    """Whose counters they are.

    Attributes:
        target: the scrape that they are of, where a server tells of many.
        kind: of engine.
        instance: what exposes them.
        engine: which of the engines behind it; empty where there is one.
        model: served name; empty where the engine does not tell.
    """

    target: tuple[str, ...]
    kind: Engine
    instance: str
    engine: str
    model: str


class EngineSeries(NamedTuple):
    """A series of an engine.

    Attributes:
        owner: whose.
        place: canonical fields and their values; its series agree where it is.
        parts: what its value adds.
        ranks: what numbers it among repetitions; None where nothing does.
    """

    owner: Owner
    place: frozenset[tuple[str, str]]
    parts: tuple[Part, ...]
    ranks: tuple[int, ...] | None


class GpuSeries(NamedTuple):
    """A series of a GPU.

    Attributes:
        device: which.
        place: where it is, and what runs on it.
        metric: in the table of families.
        factor: to the canonical unit.
        share: of a device that several pods share, which.
    """

    device: Device
    place: Mapping[str, str]
    metric: str
    factor: Decimal
    share: str


class StartSeries(NamedTuple):
    """When the process of a target began, in seconds since 1970.

    Attributes:
        target: as its engines' owners have it.
    """

    target: tuple[str, ...]


Series = EngineSeries | GpuSeries | StartSeries


class Places:
    """How a source says where things are: by its own labels, by constants, else by the labels that exporters use."""

    def __init__(self, labels: Mapping[str, str], constants: Mapping[str, str]) -> None:
        """Fields of the contract -> the label that says each, and what is said once for all."""
        self._labels, self._constants = labels, constants

    def of(
        self, said: Mapping[str, str], usual: Mapping[str, tuple[str, ...]], fields: tuple[str, ...]
    ) -> dict[str, str]:
        """Those of these fields that are known."""
        found = {field: self.one(said, field, usual.get(field, ())) for field in fields}
        return {field: text for field, text in found.items() if text}

    def one(self, said: Mapping[str, str], field: str, usual: tuple[str, ...]) -> str:
        """One field; empty where it is not known."""
        if field in self._constants:
            return self._constants[field]
        return first_text(said, (self._labels[field],) if field in self._labels else usual) or ""


def series_of(
    name: str, said: Mapping[str, str], places: Places, *, instance: str, target: tuple[str, ...] = ()
) -> Series | None:
    """What a series of a known metric is; None where it adds nothing.

    Args:
        name: of the metric.
        said: its labels.
        places: how the source says where things are.
        instance: what exposes it.
        target: what else tells its scrape from others.
    """
    scrape = (*target, instance)
    if name == PROCESS_START:
        return StartSeries(scrape)
    if name in GPU:
        device = device_of(name, said)
        if device is None:
            return None
        share = said.get(gpu_families.SHARE, "")
        return GpuSeries(
            device, places.of(said, gpu_families.places_of(said), GPU_FIELDS), name, GPU[name].factor, share
        )
    kind, parts = METRICS[name]
    instance = places.one(said, "instance", ()) or instance
    mine = tuple(part for part in parts if _counts(part, said))
    if not mine:
        return None
    place = places.of(said, _ENGINE_PLACES, ENGINE_FIELDS)
    owner = Owner(
        target=scrape,
        kind=kind,
        instance=instance,
        engine="/".join(said[label] for label in kind.engine if said.get(label)),
        model=places.one(said, "model", kind.model),
    )
    return EngineSeries(owner, frozenset(place.items()), mine, _ranks(kind, said))


def _counts(part: Part, said: Mapping[str, str]) -> bool:
    return not part.label or (said.get(part.label, "") in part.values) != part.others


def _ranks(kind: Engine, said: Mapping[str, str]) -> tuple[int, ...] | None:
    """Numbers, so that 10 comes after 9; what is no number comes last."""
    found = [said.get(label, "") for label in kind.ranks]
    if not any(found):
        return None
    return tuple(int(text) if text.isdecimal() and len(text) < 10 else 10**9 if text else 0 for text in found)  # noqa: PLR2004
