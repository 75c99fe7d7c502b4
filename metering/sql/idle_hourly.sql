-- step:   metering.idle_hourly
-- grain:  charge_period_start, pool_no, deployment_no, cause
-- reads:  metering.deployment_hourly, metering.downtime_hourly, metering.engine_state_hourly, book.deployment, book.policy
-- params: period_start, period_end, policy_version
-- why:    idle is somebody's to change only where it says why: first what could not serve, then what engines tell of the rest;
--         where they are silent for too much of the time that could serve, what utilization says
WITH idle AS (
    SELECT
        deployment.*, COALESCE(state.empty_us, 0)::HUGEINT AS empty_us, COALESCE(state.running_us, 0)::HUGEINT AS running_us,
        COALESCE(state.covered_us, 0)::HUGEINT AS covered_us, policy.min_coverage_ppm
    FROM metering.deployment_hourly AS deployment
    JOIN book.policy AS policy ON policy.policy_version = $policy_version::INTEGER
    LEFT JOIN metering.engine_state_hourly AS state USING (charge_period_start, pool_no, deployment_no)  -- NULL: engines do not tell
    WHERE deployment.charge_period_start >= $period_start::TIMESTAMP AND deployment.charge_period_start < $period_end::TIMESTAMP
        AND deployment.idle_nano > 0
),
in_force AS (
    SELECT
        charge_period_start, pool_no, deployment_no,
        SUM(epoch_us(LEAST(effective_to, charge_period_start + INTERVAL 1 HOUR)) - epoch_us(GREATEST(effective_from, charge_period_start)))
            AS in_force_us
    FROM (SELECT charge_period_start, pool_no, deployment_no FROM idle WHERE covered_us > 0)
    JOIN book.deployment USING (pool_no, deployment_no)
    WHERE effective_from < charge_period_start + INTERVAL 1 HOUR AND effective_to > charge_period_start
    GROUP BY charge_period_start, pool_no, deployment_no
),
running AS (
    SELECT
        idle.charge_period_start, idle.pool_no, idle.deployment_no, idle.effective_cost_nano, idle.paid_us, down.cause, down.down_us,
        SUM(down.down_us) OVER (
            PARTITION BY idle.charge_period_start, idle.pool_no, idle.deployment_no ORDER BY down.cause
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)::HUGEINT AS until_us
    FROM idle
    JOIN metering.downtime_hourly AS down USING (charge_period_start, pool_no, deployment_no)
),
down AS (  -- each up to its end less up to its start, so that together they are the floor of the whole
    SELECT
        charge_period_start, pool_no, deployment_no, cause, down_us,
        effective_cost_nano * until_us // paid_us - effective_cost_nano * (until_us - down_us) // paid_us AS idle_nano
    FROM running
),
fallen AS (
    SELECT charge_period_start, pool_no, deployment_no, SUM(idle_nano) AS idle_nano, SUM(down_us) AS down_us
    FROM down
    GROUP BY charge_period_start, pool_no, deployment_no
),
rest AS (  -- the time to be told is the deployment's, less the part of its GPU time that was down
    SELECT
        idle.charge_period_start, idle.pool_no, idle.deployment_no, idle.idle_cause, idle.empty_us, idle.running_us,
        idle.idle_nano - COALESCE(fallen.idle_nano, 0) AS idle_nano,
        idle.utilization = 'active' AND idle.covered_us > 0 AND idle.covered_us * idle.paid_us * 1000000
            >= in_force.in_force_us * (idle.paid_us - COALESCE(fallen.down_us, 0)) * idle.min_coverage_ppm AS is_told
    FROM idle
    LEFT JOIN in_force USING (charge_period_start, pool_no, deployment_no)  -- NULL: no engine tells
    LEFT JOIN fallen USING (charge_period_start, pool_no, deployment_no)  -- NULL: all could serve
),
told AS (  -- a tie between the two remainders goes to below_saturation, whose name sorts first: that is rounding half up
    SELECT
        rest.*, CASE WHEN is_told THEN idle_nano * running_us // GREATEST(empty_us + running_us, 1)
            + CASE WHEN idle_nano * running_us % GREATEST(empty_us + running_us, 1) * 2 >= empty_us + running_us THEN 1 ELSE 0 END
            ELSE 0 END AS running_nano
    FROM rest
),
part AS (
    SELECT charge_period_start, pool_no, deployment_no, cause, idle_nano FROM down
    UNION ALL
    SELECT charge_period_start, pool_no, deployment_no, 'below_saturation', running_nano FROM told
    UNION ALL
    SELECT
        charge_period_start, pool_no, deployment_no, CASE WHEN is_told THEN 'no_requests' ELSE idle_cause END, idle_nano - running_nano
    FROM told
)
SELECT charge_period_start, pool_no, deployment_no, cause, idle_nano::BIGINT AS idle_nano
FROM part
WHERE idle_nano <> 0
