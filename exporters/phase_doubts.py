"""Deployments whose newest hour could not be split by the method that the config forces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from apportion.ledger.connection import Session

_NEWEST: Final = """
SELECT deployment_id, split_part(phase_method, '/', 1) AS method, max(charge_period_start) AS newest,
    arg_max(failure, charge_period_start) AS failure
FROM phase_methods GROUP BY deployment_id, method ORDER BY deployment_id, method
"""
_REMEDY: Final = {
    "regression": "run `apportion calibrate --deployment {deployment}`, which takes effect behind the hours metered",
    "roofline": "see `config` in the [[models]] of what it serves, and the GPU of its pool",
    "measured": "let its engines be scraped, if they tell the time of their phases",
    "throughput": "add throughput = {{ prefill = 9212.5, decode = 1850 }} to it",
}
"""Forced method -> what it needs."""


def warnings(results: Session, forced: Mapping[str, str]) -> list[str]:
    """A sentence for each deployment whose forced method says nothing of its newest hour.

    Args:
        results: what was published.
        forced: deployment -> method that its config forces, without a version.
    """
    return [
        f"deployment {deployment!r} is to be split by {method}, which says nothing of its newest hour, {newest:%Y-%m-%dT%H:%MZ}: "
        f"{failure}; such hours are split by weights; {_REMEDY[method].format(deployment=deployment)}"
        for deployment, method, newest, failure in results.rows(_NEWEST)
        if failure and method in _REMEDY and forced.get(deployment) == method
    ]
