-- step:   attribution.charge_monthly
-- grain:  billing_period, team, team_name, project, cost_center, provider, model_no, pool_no, deployment_no, tier,
--         cost_kind, cause, token_kind, allocation_method, confidence
-- reads:  attribution.charge_daily, attribution.settlement
-- params: period_start, period_end, policy_version
-- why:    the chargeback of a month: what its hours charged and what its policies moved
WITH line AS (
    SELECT
        team, team_name, project, cost_center, provider, model_no, pool_no, deployment_no, tier, cost_kind, cause,
        token_kind, consumed_tokens, effective_cost_nano, allocation_method, confidence
    FROM attribution.charge_daily
    WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
    UNION ALL
    SELECT
        team, team_name, project, cost_center, CASE WHEN cost_kind = 'idle' THEN 'self' ELSE '' END, 0, pool_no, 0, '',
        cost_kind, cause, '', NULL, effective_cost_nano, allocation_method, confidence
    FROM attribution.settlement
    WHERE billing_period = $period_start::TIMESTAMP
)
SELECT
    $period_start::TIMESTAMP          AS billing_period,
    team, team_name, project, cost_center, provider, model_no, pool_no, deployment_no, tier, cost_kind, cause, token_kind,
    SUM(consumed_tokens)::HUGEINT     AS consumed_tokens,
    SUM(effective_cost_nano)::HUGEINT AS effective_cost_nano,
    allocation_method, confidence,
    $policy_version::INTEGER          AS policy_version
FROM line
GROUP BY ALL
