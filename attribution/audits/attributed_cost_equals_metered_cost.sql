-- audit:  attributed_cost_equals_metered_cost
-- reads:  attribution.charge_hourly, metering.charge_hourly
-- params: period_start, period_end
-- why:    naming who pays must neither lose nor make a nano or a token, nor give an unpriced line a price
WITH side AS (
    SELECT
        charge_period_start, pool_no, cost_kind, effective_cost_nano::HUGEINT AS cost_nano,
        CASE WHEN effective_cost_nano IS NULL THEN consumed_tokens::HUGEINT END AS unpriced_tokens,
        consumed_tokens::HUGEINT AS consumed_tokens
    FROM metering.charge_hourly
    WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
    UNION ALL
    SELECT
        charge_period_start, pool_no, cost_kind, -effective_cost_nano::HUGEINT,
        CASE WHEN effective_cost_nano IS NULL THEN -consumed_tokens::HUGEINT END,
        -consumed_tokens::HUGEINT
    FROM attribution.charge_hourly
    WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
)
SELECT
    charge_period_start, pool_no, cost_kind, SUM(cost_nano) AS lost_nano, SUM(consumed_tokens) AS lost_tokens,
    SUM(unpriced_tokens) AS lost_unpriced_tokens
FROM side
GROUP BY charge_period_start, pool_no, cost_kind
HAVING COALESCE(SUM(cost_nano), 0) <> 0 OR COALESCE(SUM(consumed_tokens), 0) <> 0 OR COALESCE(SUM(unpriced_tokens), 0) <> 0
