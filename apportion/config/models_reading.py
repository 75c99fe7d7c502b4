"""Read `[[models]]`."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Final

from apportion.config import architectures, values
from apportion.config.models import Model
from apportion.config.tables import Placed, Table, each

FACTOR_DECIMALS_MAX: Final = 6
FACTOR_MAX: Final = 1_000_000


def read(root: Table, beside: Path) -> list[Placed[Model]]:
    """Every sound row, with its place; architectures are looked for beside the config file."""

    def parse(table: Table) -> Model:
        model = table.name("id")
        return Model(
            id=model,
            weight=table.read("weight", factor, Decimal(1)),
            adapters=table.read("adapters", _adapters, ()),
            architecture=architectures.of(table, model, beside),
        )

    return each(root, "models", parse)


def factor(value: object) -> Decimal:
    """What a token weighs more or less than others of its kind. Raises: ValueError in a sentence."""
    found = values.exact(value, FACTOR_DECIMALS_MAX)
    if found > FACTOR_MAX:
        msg = f"is {found}; write a weight of at most {FACTOR_MAX} (only their proportions count)"
        raise ValueError(msg)
    return found


def _adapters(value: object) -> tuple[str, ...]:
    return values.texts(value, '["sql-lora-*"]')
