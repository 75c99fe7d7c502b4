"""What a served model is made of: the keys of a `[[models]]` row that its roofline is computed from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from apportion.config import huggingface, values
from apportion.config.tables import Table
from apportion.domain.architecture import Architecture
from apportion.domain.number_formats import KV_CACHES, WEIGHTS

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
    """How a model is built and served.

    Attributes:
        model: id.
        architecture: what its config.json describes.
        weights: format of its weights, one of `number_formats.WEIGHTS`.
        kv: format of its KV cache, one of `number_formats.KV_CACHES`.
        batch: sequences that a replica decodes together.
        mean_context: tokens of a usual prompt.
        tensor_parallel: GPUs that a replica is spread over; None for the deployment's, up to eight.
    """

    model: str
    architecture: Architecture
    weights: str
    kv: str
    batch: int
    mean_context: int
    tensor_parallel: int | None


def of(table: Table, model: str, beside: Path) -> ModelArchitecture | None:
    """What one row of `[[models]]` says of a model's architecture, or None where it names no `config`.

    Args:
        table: the row.
        model: its id.
        beside: the folder that a relative path starts from.
    """
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
    architecture, stored, said = built
    if stored is None and not table.has("weights"):
        table.raw("weights")
        table.wrong(
            "weights",
            f"is missing, and the config.json has {said}, of which the format of the weights is not known (known are awq and gptq "
            f"of 4 bits, fp8, mxfp4); add it, one of {', '.join(WEIGHTS)}",
        )
        return None
    return ModelArchitecture(
        model=model, architecture=architecture, weights=table.choice("weights", tuple(WEIGHTS), stored), kv=kv,
        batch=batch, mean_context=mean_context, tensor_parallel=parallel,
    )  # fmt: skip


def _built(value: object, beside: Path) -> tuple[Architecture, str | None, str] | None:
    """The architecture in a file, the format its weights are published in, and what it says where that is not known.

    Raises: ValueError in a sentence.
    """
    document = _document(value, beside)
    try:
        stored = huggingface.stored_in(document)
        return huggingface.architecture(document), stored, "" if stored else huggingface.quantised_how(document)
    except ValueError as error:
        msg = f"{value!r} cannot be used: {error}"
        raise ValueError(msg) from None


def _document(value: object, beside: Path) -> Mapping[str, object]:
    """A JSON object from the file of a name. Raises: ValueError in a sentence."""
    if not isinstance(value, str) or not value.strip():
        msg = 'is no file name; write the path of the config.json published with the model, such as "llama70b.json"'
        raise ValueError(msg)
    value = values.text(value)
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
        what = "is an empty JSON object, which describes no model" if found == {} else "holds no JSON object"
        msg = f"{value!r} {what}; give the config.json as it was published with the model"
        raise ValueError(msg)
    return found
