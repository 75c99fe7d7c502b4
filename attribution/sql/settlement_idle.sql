-- step:   attribution.settlement_idle
-- grain:  charge_period_start, pool_no, team
-- reads:  attribution.settlement_weight, attribution.reservation
-- params: period_start, period_end, idle
-- why:    the idle policy says who weighs what; holders of entitlements bear what they left unused and no more than there is,
--         which is a split of the lesser of the two
WITH idle_cost AS (
    SELECT charge_period_start, charge_period_end, pool_no, idle_nano
    FROM attribution.settlement_weight
    WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
        AND team = '__idle__' AND idle_nano > 0
),
standing AS (
    SELECT charge_period_start, pool_no, team, workload_nano, consumed_tokens, 0::HUGEINT AS reserved_nano
    FROM attribution.settlement_weight
    WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
    UNION ALL
    SELECT charge_period_start, pool_no, team, 0, 0, reserved_nano
    FROM attribution.reservation
    WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
),
weighed AS (
    SELECT
        charge_period_start, pool_no, team,
        CASE $idle::VARCHAR
            WHEN 'proportional' THEN GREATEST(SUM(workload_nano), 0)
            WHEN 'even' THEN CASE WHEN SUM(consumed_tokens) > 0 THEN 1 ELSE 0 END
            WHEN 'entitlement' THEN GREATEST(SUM(reserved_nano) - SUM(workload_nano), 0)
            ELSE 0 END::HUGEINT AS weight
    FROM standing
    WHERE team NOT LIKE '\_\_%' ESCAPE '\' OR team = '__unmapped__'
    GROUP BY charge_period_start, pool_no, team
),
claim AS (
    SELECT
        idle_cost.charge_period_start, idle_cost.charge_period_end, idle_cost.pool_no, weighed.team, weighed.weight,
        SUM(weighed.weight) OVER same_pool AS whole,
        CASE WHEN $idle::VARCHAR = 'entitlement' THEN LEAST(idle_cost.idle_nano, SUM(weighed.weight) OVER same_pool)
            ELSE idle_cost.idle_nano END AS moved_nano
    FROM idle_cost
    JOIN weighed USING (charge_period_start, pool_no)
    WHERE weighed.weight > 0
    WINDOW same_pool AS (PARTITION BY idle_cost.charge_period_start, idle_cost.pool_no)
),
part AS (
    SELECT
        charge_period_start, charge_period_end, pool_no, team, moved_nano * weight // whole AS floor_nano,
        moved_nano - SUM(moved_nano * weight // whole) OVER (PARTITION BY charge_period_start, pool_no) AS left_nano,
        ROW_NUMBER() OVER (
            PARTITION BY charge_period_start, pool_no ORDER BY moved_nano * weight % whole DESC, team) AS place
    FROM claim
)
SELECT
    charge_period_start,
    charge_period_end,
    pool_no,
    team,
    (floor_nano + CASE WHEN place <= left_nano THEN 1 ELSE 0 END)::BIGINT AS effective_cost_nano
FROM part
