-- step:   attribution.charge_hourly
-- grain:  charge_period_start, team, team_name, project, cost_center, provider, model_no, pool_no, deployment_no, tier,
--         cost_kind, cause, token_kind, allocation_method, confidence
-- reads:  metering.charge_hourly, attribution.caller_team, book.deployment, book.directory_rule, book.cost_center
-- params: period_start, period_end
-- why:    who pays is decided once per hour, so a change of directory or owner never splits one; a dedicated deployment's
--         owner pays for every caller and for its idle, but not for what nobody measured or nobody logged
WITH charge_hour AS (
    SELECT unnest(range($period_start::TIMESTAMP, $period_end::TIMESTAMP, INTERVAL 1 HOUR)) AS charge_period_start
),
in_force AS (  -- of several dated rows in one hour, the first decides
    SELECT
        charge_hour.charge_period_start, deployment.deployment_no,
        arg_min(deployment.charge_to, deployment.effective_from) AS charge_to,
        arg_min(deployment.owner, deployment.effective_from)     AS team
    FROM charge_hour
    JOIN book.deployment AS deployment
        ON deployment.effective_from < charge_hour.charge_period_start + INTERVAL 1 HOUR
        AND deployment.effective_to > charge_hour.charge_period_start
    GROUP BY charge_hour.charge_period_start, deployment.deployment_no
),
owner AS (
    SELECT
        in_force.charge_period_start, in_force.deployment_no, in_force.team,
        CASE WHEN COUNT(DISTINCT rule.team_name) = 1 THEN MIN(rule.team_name) ELSE '' END AS team_name,
        CASE WHEN COUNT(DISTINCT rule.cost_center) = 1 AND MIN(rule.cost_center) <> '' THEN MIN(rule.cost_center)
            ELSE COALESCE(MIN(given.cost_center), '') END AS cost_center
    FROM in_force
    LEFT JOIN book.directory_rule AS rule  -- NULL: the directory does not know the owner
        ON rule.team = in_force.team AND rule.effective_from <= in_force.charge_period_start
        AND in_force.charge_period_start < rule.effective_to
    LEFT JOIN book.cost_center AS given ON given.team = in_force.team  -- NULL: none was given
    WHERE in_force.charge_to = 'owner'
    GROUP BY in_force.charge_period_start, in_force.deployment_no, in_force.team
),
system_line AS (
    SELECT line.cost_kind, line.team, COALESCE(given.cost_center, '') AS cost_center
    FROM (VALUES
        ('idle', '__idle__'), ('unmeasured', '__unmeasured__'),
        ('overhead', '__overhead__'), ('workload', '__unattributed__')
    ) AS line (cost_kind, team)
    LEFT JOIN book.cost_center AS given USING (team)  -- NULL: none was given
)
SELECT
    charge.charge_period_start,
    COALESCE(owner.team, caller.team, system_line.team, '__unattributed__')                    AS team,
    COALESCE(owner.team_name, caller.team_name, '')                                            AS team_name,
    CASE WHEN owner.team IS NULL THEN COALESCE(caller.project, '') ELSE '' END                 AS project,
    COALESCE(owner.cost_center, caller.cost_center, system_line.cost_center, '')               AS cost_center,
    charge.provider, charge.model_no, charge.pool_no, charge.deployment_no, charge.tier, charge.cost_kind, charge.cause,
    charge.token_kind,
    SUM(charge.consumed_tokens)::BIGINT     AS consumed_tokens,
    SUM(charge.effective_cost_nano)::BIGINT AS effective_cost_nano,
    charge.allocation_method, charge.confidence
FROM metering.charge_hourly AS charge
LEFT JOIN attribution.caller_team AS caller  -- NULL: nobody, a system line
    ON caller.caller_no = charge.caller_no AND caller.effective_from <= charge.charge_period_start
    AND charge.charge_period_start < caller.effective_to
LEFT JOIN owner  -- NULL: callers pay
    ON owner.charge_period_start = charge.charge_period_start AND owner.deployment_no = charge.deployment_no
    AND (charge.cost_kind = 'idle' OR (charge.cost_kind = 'workload' AND charge.caller_no <> 0))
LEFT JOIN system_line ON system_line.cost_kind = charge.cost_kind AND charge.caller_no = 0  -- NULL: a caller's line
WHERE charge.charge_period_start >= $period_start::TIMESTAMP AND charge.charge_period_start < $period_end::TIMESTAMP
GROUP BY ALL
