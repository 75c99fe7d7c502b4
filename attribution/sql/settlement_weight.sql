-- step:   attribution.settlement_weight
-- grain:  charge_period_start, pool_no, team
-- reads:  attribution.charge_daily, attribution.charge_hourly
-- params: period_start, period_end, over
-- why:    over a month a lone job at night does not carry the night; over the hour, each hour is settled by itself
WITH charge AS (
    SELECT
        $period_start::TIMESTAMP AS charge_period_start, $period_end::TIMESTAMP AS charge_period_end,
        pool_no, team, cost_kind, consumed_tokens, effective_cost_nano
    FROM attribution.charge_daily
    WHERE $over::VARCHAR = 'month'
        AND charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
    UNION ALL
    SELECT
        charge_period_start, charge_period_start + INTERVAL 1 HOUR,
        pool_no, team, cost_kind, consumed_tokens, effective_cost_nano
    FROM attribution.charge_hourly
    WHERE $over::VARCHAR = 'hour'
        AND charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
)
SELECT
    charge_period_start,
    charge_period_end,
    pool_no,
    team,
    COALESCE(SUM(effective_cost_nano) FILTER (cost_kind = 'workload'), 0)::HUGEINT                  AS workload_nano,
    COALESCE(SUM(effective_cost_nano) FILTER (cost_kind = 'idle'), 0)::HUGEINT                      AS idle_nano,
    COALESCE(SUM(effective_cost_nano), 0)::HUGEINT                                                  AS effective_cost_nano,
    COALESCE(SUM(consumed_tokens), 0)::HUGEINT                                                      AS consumed_tokens
FROM charge
GROUP BY charge_period_start, charge_period_end, pool_no, team
