-- step:   attribution.charge_daily
-- grain:  charge_period_start, team, team_name, project, cost_center, provider, model_no, pool_no, deployment_no, tier,
--         cost_kind, cause, token_kind, allocation_method, confidence
-- reads:  attribution.charge_hourly
-- params: period_start, period_end
-- why:    a month is re-settled from its days, so that one changed hour does not cost a pass over all the others
SELECT
    date_trunc('day', charge_period_start)::TIMESTAMP AS charge_period_start,
    team, team_name, project, cost_center, provider, model_no, pool_no, deployment_no, tier, cost_kind, cause, token_kind,
    SUM(consumed_tokens)::BIGINT                      AS consumed_tokens,
    SUM(effective_cost_nano)::BIGINT                  AS effective_cost_nano,
    allocation_method, confidence
FROM attribution.charge_hourly
WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
GROUP BY ALL
