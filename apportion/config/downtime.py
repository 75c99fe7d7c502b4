"""GPU time that is paid for and cannot serve, as it was declared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from apportion.domain.period import Period

DowntimeCause = Literal["loading", "draining", "lost"]

CAUSES: Final[tuple[DowntimeCause, ...]] = ("loading", "draining", "lost")


@dataclass(frozen=True, slots=True, kw_only=True)
class Downtime:
    """GPUs of a deployment that cannot serve for a while.

    Attributes:
        deployment: id of the deployment, which is in force all that time.
        gpus: how many of its GPUs.
        cause: weights being loaded, requests being drained, or hardware lost.
        effective: when.
    """

    deployment: str
    gpus: int
    cause: DowntimeCause
    effective: Period
