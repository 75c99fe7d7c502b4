-- step:   attribution.settlement
-- grain:  charge_period_start, team, pool_no, cost_kind, shared_cost_id, allocation_method
-- reads:  attribution.settlement_idle, attribution.settlement_shared, attribution.team_monthly
-- params: period_start, period_end, idle, policy_version
-- why:    what teams bear leaves __idle__ and __overhead__ with the opposite sign, so the month's sum stays what it was
WITH borne AS (
    SELECT
        charge_period_start, charge_period_end, team, '__idle__' AS left_by, pool_no, 'idle' AS cost_kind, '' AS shared_cost_id,
        effective_cost_nano, 'idle.' || $idle::VARCHAR || '/1' AS allocation_method
    FROM attribution.settlement_idle
    WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
    UNION ALL
    SELECT
        charge_period_start, charge_period_end, team, '__overhead__', 0, 'overhead', shared_cost_id,
        effective_cost_nano, 'shared.' || policy || '/1'
    FROM attribution.settlement_shared
    WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
),
moved AS (
    SELECT
        charge_period_start, charge_period_end, team, pool_no, cost_kind, shared_cost_id, effective_cost_nano, allocation_method
    FROM borne
    UNION ALL
    SELECT
        charge_period_start, charge_period_end, left_by, pool_no, cost_kind, shared_cost_id, -SUM(effective_cost_nano),
        allocation_method
    FROM borne
    GROUP BY charge_period_start, charge_period_end, left_by, pool_no, cost_kind, shared_cost_id, allocation_method
)
SELECT
    date_trunc('month', moved.charge_period_start)::TIMESTAMP AS billing_period,
    moved.charge_period_start,
    moved.charge_period_end,
    moved.team,
    COALESCE(known.team_name, '')           AS team_name,
    ''                                      AS project,
    COALESCE(known.cost_center, '')         AS cost_center,
    moved.pool_no,
    moved.cost_kind,
    'settled'                               AS cause,
    moved.shared_cost_id,
    moved.effective_cost_nano::BIGINT       AS effective_cost_nano,
    moved.allocation_method,
    'assumed'                               AS confidence,
    $policy_version::INTEGER                AS policy_version
FROM moved
LEFT JOIN attribution.team_monthly AS known  -- NULL: a team that nothing knows but its share
    ON known.billing_period = date_trunc('month', moved.charge_period_start) AND known.team = moved.team
WHERE moved.effective_cost_nano <> 0
