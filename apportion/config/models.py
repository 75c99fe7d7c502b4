"""What is known of a model beyond its name: what a token of it weighs, what its adapters are called, what it is made of."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from apportion.config.architectures import ModelArchitecture


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model; one row for each.

    Attributes:
        id: as deployments name it, or as it is reported.
        weight: what a token of it weighs beside one of the same kind of a model that says nothing.
        adapters: globs of the names that its adapters (LoRA) are reported by; they run wherever the model does.
        architecture: what it is made of, where the config says.
    """

    id: str
    weight: Decimal
    adapters: tuple[str, ...]
    architecture: ModelArchitecture | None
