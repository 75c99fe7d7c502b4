-- step:   attribution.settlement_shared
-- grain:  charge_period_start, shared_cost_id, policy, team
-- reads:  metering.metered_hour, metering.origin_charge_hourly, book.shared_cost, book.shared_cost_share,
--         attribution.settlement_weight, attribution.settlement_idle
-- params: period_start, period_end, over
-- why:    shared costs follow idle, so that proportional ones weigh what a team is charged with its idle
WITH shared_hour AS (
    SELECT
        CASE WHEN $over::VARCHAR = 'hour' THEN origin.charge_period_start ELSE $period_start::TIMESTAMP END
            AS charge_period_start,
        CASE WHEN $over::VARCHAR = 'hour' THEN origin.charge_period_start + INTERVAL 1 HOUR ELSE $period_end::TIMESTAMP END
            AS charge_period_end,
        origin.component AS shared_cost_id, shared.policy, origin.effective_cost_nano
    FROM metering.origin_charge_hourly AS origin
    JOIN metering.metered_hour USING (charge_period_start)
    JOIN book.shared_cost AS shared
        ON shared.shared_cost_id = origin.component AND shared.effective_from <= origin.charge_period_start
        AND origin.charge_period_start < shared.effective_to
    WHERE origin.pool_no = 0
        AND origin.charge_period_start >= $period_start::TIMESTAMP AND origin.charge_period_start < $period_end::TIMESTAMP
),
shared_cost AS (
    SELECT charge_period_start, charge_period_end, shared_cost_id, policy, SUM(effective_cost_nano)::HUGEINT AS moved_nano
    FROM shared_hour
    GROUP BY ALL
    HAVING SUM(effective_cost_nano) > 0
),
standing AS (
    SELECT charge_period_start, team, effective_cost_nano, consumed_tokens
    FROM attribution.settlement_weight
    WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
    UNION ALL
    SELECT charge_period_start, team, effective_cost_nano, 0
    FROM attribution.settlement_idle
    WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
),
weighed AS (
    SELECT
        shared_cost.charge_period_start, shared_cost_id, policy, team,
        CASE WHEN policy = 'proportional' THEN GREATEST(SUM(effective_cost_nano), 0)
            ELSE CASE WHEN SUM(consumed_tokens) > 0 THEN 1 ELSE 0 END END::HUGEINT AS weight
    FROM shared_cost
    JOIN standing USING (charge_period_start)
    WHERE policy IN ('proportional', 'even')
    GROUP BY shared_cost.charge_period_start, shared_cost_id, policy, team
    UNION ALL
    SELECT shared_cost.charge_period_start, shared_cost_id, policy, share.team, share.weight::HUGEINT
    FROM shared_cost
    JOIN book.shared_cost_share AS share USING (shared_cost_id)
    WHERE policy = 'fixed'
),
claim AS (
    SELECT
        shared_cost.*, weighed.team, weighed.weight,
        SUM(weighed.weight) OVER (PARTITION BY charge_period_start, shared_cost_id, policy) AS whole
    FROM shared_cost
    JOIN weighed USING (charge_period_start, shared_cost_id, policy)
    WHERE weighed.weight > 0 AND (weighed.team NOT LIKE '\_\_%' ESCAPE '\' OR weighed.team = '__unmapped__')
),
part AS (
    SELECT
        charge_period_start, charge_period_end, shared_cost_id, policy, team, moved_nano * weight // whole AS floor_nano,
        moved_nano - SUM(moved_nano * weight // whole) OVER (PARTITION BY charge_period_start, shared_cost_id, policy)
            AS left_nano,
        ROW_NUMBER() OVER (
            PARTITION BY charge_period_start, shared_cost_id, policy ORDER BY moved_nano * weight % whole DESC, team) AS place
    FROM claim
)
SELECT
    charge_period_start,
    charge_period_end,
    shared_cost_id,
    policy,
    team,
    (floor_nano + CASE WHEN place <= left_nano THEN 1 ELSE 0 END)::BIGINT AS effective_cost_nano
FROM part
