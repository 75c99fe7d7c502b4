"""What a served model is made of: the keys of a `[[models]]` row that its roofline is computed from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from apportion.config import huggingface
from apportion.config.fleet_reading import Fleet
from apportion.config.tables import Placed, Problems, Table, each
from apportion.config.values import span
from apportion.domain.architecture import Architecture
from apportion.domain.effective import first_overlap
from apportion.domain.number_formats import KV_CACHES, WEIGHTS
from apportion.domain.period import Period

FILE_BYTES_MAX: Final = 4_000_000
BATCH_MAX: Final = 65_536
CONTEXT_MAX: Final = 100_000_000
TENSOR_PARALLEL_MAX: Final = 1024
BATCH: Final = 32
"""Default: sequences that a replica decodes together; a middling load."""
MEAN_CONTEXT: Final = 2048
"""Default: tokens of a prompt."""

_KEYS: Final = ("weights", "kv", "batch", "mean_context", "tensor_parallel")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelArchitecture:
    """How a model is built and served, over a time; rows of one model never overlap.

    Attributes:
        model: id.
        architecture: what its config.json describes.
        weights: format of its weights, one of `number_formats.WEIGHTS`.
        kv: format of its KV cache, one of `number_formats.KV_CACHES`.
        batch: sequences that a replica decodes together.
        mean_context: tokens of a usual prompt.
        tensor_parallel: GPUs that a replica is spread over; None for the deployment's, up to eight.
        effective: when.
    """

    model: str
    architecture: Architecture
    weights: str
    kv: str
    batch: int
    mean_context: int
    tensor_parallel: int | None
    effective: Period


def read(root: Table, beside: Path) -> list[Placed[ModelArchitecture]]:
    """The rows of `[[models]]` that name a `config`, which is looked for beside the config file."""

    def parse(table: Table) -> ModelArchitecture | None:
        return of(table, table.name("id"), table.period(start_optional=True), beside)

    return [Placed(row.where, row.item) for row in each(root, "models", parse) if row.item is not None]


def of(table: Table, model: str, effective: Period, beside: Path) -> ModelArchitecture | None:
    """What one row of `[[models]]` says of a model's architecture, or None where it names no `config`."""
    if not table.has("config"):
        table.raw("config")
        for key in _KEYS:
            table.raw(key)
            if table.has(key):
                table.wrong(
                    "config", f'is missing, and {key} is read with it; add config = "config.json", or remove {key}'
                )
        return None
    built = table.require("config", lambda value: _built(value, beside), None)
    kv = table.choice("kv", tuple(KV_CACHES), "bf16")
    batch = table.integer("batch", 1, BATCH_MAX, BATCH)
    mean_context = table.integer("mean_context", 1, CONTEXT_MAX, MEAN_CONTEXT)
    parallel = table.integer("tensor_parallel", 1, TENSOR_PARALLEL_MAX) if table.has("tensor_parallel") else None
    if built is None:
        table.raw("weights")
        return None
    architecture, stored = built
    return ModelArchitecture(
        model=model, architecture=architecture, weights=table.choice("weights", tuple(WEIGHTS), stored), kv=kv,
        batch=batch, mean_context=mean_context, tensor_parallel=parallel, effective=effective,
    )  # fmt: skip


def check(rows: Sequence[Placed[ModelArchitecture]], fleet: Fleet, problems: Problems) -> None:
    """No two rows of one model are in force at once, and some deployment serves each model."""
    served = {model for row in fleet.deployments for model in row.item.models}
    for row in rows:
        if row.item.model not in served:
            problems.warning(
                f"{row.where}.config",
                f"no deployment serves {row.item.model!r}, so nothing reads it; name the model as [[deployments]] do",
            )
    for model in dict.fromkeys(row.item.model for row in rows):
        group = [row for row in rows if row.item.model == model]
        both = first_overlap([row.item for row in group])
        if both:
            one, other = (next(row for row in group if row.item is item) for item in both)
            problems.error(
                other.where,
                f"model {model!r} is in force {span(other.item.effective)}, and overlaps {one.where}, in force "
                f"{span(one.item.effective)}; set effective_to on the earlier",
            )


def _built(value: object, beside: Path) -> tuple[Architecture, str | None] | None:
    """The architecture in a file, and the format its weights are published in. Raises: ValueError in a sentence."""
    document = _document(value, beside)
    try:
        return huggingface.architecture(document), huggingface.stored_in(document)
    except ValueError as error:
        msg = f"{value!r} cannot be used: {error}"
        raise ValueError(msg) from None


def _document(value: object, beside: Path) -> Mapping[str, object]:
    """A JSON object from the file of a name. Raises: ValueError in a sentence."""
    if not isinstance(value, str) or not value.strip():
        msg = 'is no file name; write the path of the config.json published with the model, such as "llama70b.json"'
        raise ValueError(msg)
    path = beside / value
    try:
        size = path.stat().st_size
        written = path.read_bytes() if size <= FILE_BYTES_MAX else b""
    except OSError as error:
        msg = f"{value!r} cannot be read ({error.strerror}); put the model's config.json there, or correct the path"
        raise ValueError(msg) from None
    if size > FILE_BYTES_MAX:
        msg = f"{value!r} is larger than {FILE_BYTES_MAX} bytes; name the model's config.json, not its weights"
        raise ValueError(msg)
    try:
        found = json.loads(written.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:  # not UTF-8, not JSON, or integers of thousands of digits
        msg = f"{value!r} is not JSON ({error}); give the config.json as it was published with the model"
        raise ValueError(msg) from None
    if not isinstance(found, dict) or not found:
        msg = f"{value!r} holds no JSON object; give the config.json as it was published with the model"
        raise ValueError(msg)
    return found
