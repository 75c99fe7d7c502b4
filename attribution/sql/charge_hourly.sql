-- step:   attribution.charge_hourly
-- grain:  charge_period_start, team, team_name, project, cost_center, provider, model_no, pool_no, deployment_no, tier,
--         cost_kind, cause, token_kind, allocation_method, confidence
-- reads:  metering.charge_hourly, attribution.caller_team, attribution.deployment_owner, attribution.system_team
-- params: period_start, period_end
-- why:    who pays is decided at the start of the hour, so a change of directory or owner never splits one; an owner pays for
--         every caller and for the idle, but not for what nobody measured or nobody logged
SELECT
    charge.charge_period_start,
    COALESCE(owner.team, caller.team, nobody.team)                                  AS team,
    COALESCE(owner.team_name, caller.team_name, '')                                 AS team_name,
    CASE WHEN owner.team IS NULL THEN COALESCE(caller.project, '') ELSE '' END      AS project,
    COALESCE(owner.cost_center, caller.cost_center, nobody.cost_center)             AS cost_center,
    charge.provider,
    charge.model_no,
    charge.pool_no,
    charge.deployment_no,
    charge.tier,
    charge.cost_kind,
    charge.cause,
    charge.token_kind,
    SUM(charge.consumed_tokens)::BIGINT                                             AS consumed_tokens,
    SUM(charge.effective_cost_nano)::BIGINT                                         AS effective_cost_nano,
    charge.allocation_method,
    charge.confidence
FROM metering.charge_hourly AS charge
LEFT JOIN attribution.caller_team AS caller  -- NULL: nobody, a system line
    ON caller.caller_no = charge.caller_no AND caller.effective_from <= charge.charge_period_start
    AND charge.charge_period_start < caller.effective_to
LEFT JOIN attribution.deployment_owner AS owner  -- NULL: callers pay
    ON owner.deployment_no = charge.deployment_no AND owner.effective_from <= charge.charge_period_start
    AND charge.charge_period_start < owner.effective_to
    AND (charge.cost_kind = 'idle' OR (charge.cost_kind = 'workload' AND charge.caller_no <> 0))
LEFT JOIN attribution.system_team AS nobody  -- NULL: a caller's line
    ON nobody.cost_kind = charge.cost_kind AND charge.caller_no = 0
WHERE charge.charge_period_start >= $period_start::TIMESTAMP AND charge.charge_period_start < $period_end::TIMESTAMP
GROUP BY ALL
