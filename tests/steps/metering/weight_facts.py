"""What makes tokens weigh and GPUs stand idle, in the notation of `facts`: integers as the book keeps them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Down:
    """GPUs of a deployment that cannot serve from `start` until `end`."""

    start: int
    end: int
    deployment: str = "d"
    gpus: int = 1
    cause: str = "loading"


@dataclass(frozen=True, kw_only=True)
class Weighed:
    """Weights beside those of the kinds: of models and tiers with "" for all others, of context, of cache reads from host and storage
    (None: as any); adapters by LIKE pattern."""

    models: Mapping[str, int] = field(default_factory=dict)
    tiers: Mapping[str, int] = field(default_factory=dict)
    context: int = 0
    host: int | None = None
    storage: int | None = None
    adapters: tuple[tuple[str, str], ...] = ()

    def base(self, model: str) -> set[str]:
        """Models that a name is an adapter of."""
        return {of for of, pattern in self.adapters if model.startswith(pattern.removesuffix("%"))}

    def factor(self, model: str, tier: str) -> int:
        """What each token weighs beside its kind."""
        bases = [self.models[of] for of in self.base(model) if of in self.models]
        by_model = self.models.get(model, bases[0] if bases else self.models.get("", 1))
        return by_model * self.tiers.get(tier, self.tiers.get("", 1))

    @property
    def tiers_text(self) -> str:
        """Tiers as the policy keeps them."""
        return json.dumps([{"tier": tier, "weight": weight} for tier, weight in self.tiers.items()])


def tables(
    weighed: Weighed,
    downs: Iterable[Down],
    numbers: tuple[Mapping[str, int], Mapping[str, int]],
    always: list[datetime],
    moment: Callable[[int], datetime],
) -> dict[str, list[list[Any]]]:
    """Rows of `book`, by the numbers of models and of deployments."""
    model_no, deployment_no = numbers
    return {
        "book.model_weight": [[model_no[model], weight, *always] for model, weight in weighed.models.items()],
        "book.model_adapter": [[model_no[model], pattern, *always] for model, pattern in weighed.adapters],
        "book.downtime": [
            [deployment_no[down.deployment], down.gpus, down.cause, moment(down.start), moment(down.end)]
            for down in downs
        ],
    }
