-- step:   metering.prefill_unplaced_hourly
-- grain:  charge_period_start, pool_no, deployment_no
-- reads:  book.deployment, metering.served_model, metering.prefill_place_hourly, metering.placed_usage_hourly,
--         metering.engine_usage_hourly, metering.gpu_activity_hourly
-- params: period_start, period_end
-- why:    where several deployments read the prompts of a model, nobody knows which read which, so that prompts stay where their
--         requests ran; that such a reader has no tokens does not say that nothing was asked of it
WITH in_force AS (  -- of several dated rows in an hour the first says the pool and the role
    SELECT
        charge_hour.charge_period_start, deployment.deployment_no,
        arg_min(deployment.pool_no, deployment.effective_from) AS pool_no, arg_min(deployment.role, deployment.effective_from) AS role
    FROM (SELECT unnest(range($period_start::TIMESTAMP, $period_end::TIMESTAMP, INTERVAL 1 HOUR)) AS charge_period_start) AS charge_hour
    JOIN book.deployment AS deployment
        ON deployment.effective_from < charge_hour.charge_period_start + INTERVAL 1 HOUR
        AND deployment.effective_to > charge_hour.charge_period_start
    WHERE deployment.deployment_no IN (SELECT deployment_no FROM book.deployment WHERE role <> 'both')
    GROUP BY charge_hour.charge_period_start, deployment.deployment_no
),
reading AS (
    SELECT DISTINCT
        in_force.charge_period_start, in_force.pool_no, in_force.deployment_no, served.model_no,
        place.model_no IS NOT NULL AS is_alone
    FROM in_force
    LEFT JOIN metering.served_model AS served  -- NULL: lists no model
        ON served.deployment_no = in_force.deployment_no
        AND served.effective_from < in_force.charge_period_start + INTERVAL 1 HOUR
        AND served.effective_to > in_force.charge_period_start
    LEFT JOIN metering.prefill_place_hourly AS place  -- NULL: others read its prompts too
        ON place.charge_period_start = in_force.charge_period_start AND place.prefill_deployment_no = in_force.deployment_no
        AND place.model_no = served.model_no
    WHERE in_force.role = 'prefill'
),
reader AS (  -- whoever reads any model beside others; what it reads alone is placed on it
    SELECT DISTINCT charge_period_start, pool_no, deployment_no FROM reading WHERE NOT is_alone
),
asked AS (
    SELECT DISTINCT usage.charge_period_start, reading.deployment_no
    FROM metering.placed_usage_hourly AS usage
    JOIN in_force
        ON in_force.charge_period_start = usage.charge_period_start AND in_force.deployment_no = usage.deployment_no
        AND in_force.role = 'decode'
    JOIN reading
        ON reading.charge_period_start = usage.charge_period_start AND reading.model_no = usage.model_no AND NOT reading.is_alone
    WHERE usage.charge_period_start >= $period_start::TIMESTAMP AND usage.charge_period_start < $period_end::TIMESTAMP
        AND (usage.uncached_input_tokens > 0 OR usage.cache_read_tokens > 0 OR usage.cache_write_tokens > 0)
),
busy AS (
    SELECT charge_period_start, deployment_no
    FROM metering.engine_usage_hourly
    WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP AND prompt_tokens > 0
    UNION
    SELECT charge_period_start, deployment_no
    FROM metering.gpu_activity_hourly
    WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP AND active_ppm_us > 0
)
SELECT
    reader.charge_period_start, reader.pool_no, reader.deployment_no,
    asked.deployment_no IS NOT NULL AS is_asked, busy.deployment_no IS NOT NULL AS is_busy
FROM reader
LEFT JOIN asked USING (charge_period_start, deployment_no)  -- NULL: no prompts
LEFT JOIN busy USING (charge_period_start, deployment_no)   -- NULL: nothing shows any work
