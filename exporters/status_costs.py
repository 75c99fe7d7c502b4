"""What of the money and of the tokens stands in no other line of a status: external spend, tokens without a cost, lost credits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from exporters.causes import CAUSES

MONTHS: Final = """
SELECT
    strftime(months.billing_period, '%Y-%m') AS month, metered_hours, policy_version, attributed_at, origin_nano, charged_nano,
    coalesce(line.external_nano, 0) AS external_nano, coalesce(line.tokens_without_cost, 0) AS tokens_without_cost,
    origin_nano = charged_nano AS conserved
FROM months
LEFT JOIN (
    SELECT
        billing_period, (sum(effective_cost_nano) FILTER (cost_kind = 'external'))::HUGEINT AS external_nano,
        (sum(consumed_tokens) FILTER (effective_cost_nano IS NULL))::HUGEINT AS tokens_without_cost
    FROM chargeback
    GROUP BY billing_period
) AS line ON line.billing_period = months.billing_period
ORDER BY months.billing_period
"""
"""External spend is no part of what the fleet cost, so the law of a month does not hold it; no amount holds tokens without a cost."""

WITHOUT_COST: Final = """
SELECT strftime(billing_period, '%Y-%m') AS month, provider, cause, sum(consumed_tokens)::HUGEINT AS tokens
FROM chargeback
WHERE effective_cost_nano IS NULL AND consumed_tokens > 0
GROUP BY billing_period, provider, cause
ORDER BY billing_period, tokens DESC, provider, cause
"""

CREDITS: Final = """
SELECT
    strftime(billing_period, '%Y-%m') AS month, credit_id AS credit, granted_nano, applied_nano AS used_nano,
    granted_nano - applied_nano AS lost_nano
FROM credits ORDER BY billing_period, credit_id
"""


def lines(found: Mapping[str, Any], month: Mapping[str, Any]) -> Iterator[str]:
    """What a status says of a month below its law."""
    unit = f" {found['billing_currency']}" if found["billing_currency"] else ""
    yield (
        f"  charged: {month['charged_cost']}{unit} for own GPUs, {month['external_cost']}{unit} of external providers; "
        f"{month['tokens_without_cost']:,} tokens without a cost"
    )
    for one in found["without_cost"]:
        if one["month"] == month["month"]:
            cause = CAUSES.get(one["cause"])
            why = f": {cause.means}; {cause.next_step}" if cause else ""
            yield f"  no cost: {one['tokens']:,} tokens of provider {one['provider']}, {one['cause'] or 'no cause'}{why}"
    for one in found["credits"]:
        if one["month"] == month["month"]:
            lost = "; what an hour grants and its pools do not owe is lost" if one["lost_cost"].strip("0.") else ""
            amounts = f"{one['granted_cost']}{unit} granted, {one['used_cost']} used, {one['lost_cost']} lost"
            yield f"  credit {one['credit']}: {amounts}{lost}"
