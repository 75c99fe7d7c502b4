-- step:   metering.prefill_place_hourly
-- grain:  charge_period_start, pool_no, deployment_no, model_no
-- reads:  book.deployment, metering.served_model
-- params: period_start, period_end
-- why:    a request that decoded on one deployment had its prompt read on another, where one alone reads prompts of its model;
--         that one reads its own, so that both come together
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
reader AS (
    SELECT
        in_force.charge_period_start, served.model_no, MIN(in_force.pool_no) AS prefill_pool_no,
        MIN(in_force.deployment_no) AS prefill_deployment_no
    FROM in_force
    JOIN metering.served_model AS served
        ON served.deployment_no = in_force.deployment_no
        AND served.effective_from < in_force.charge_period_start + INTERVAL 1 HOUR
        AND served.effective_to > in_force.charge_period_start
    WHERE in_force.role = 'prefill'
    GROUP BY in_force.charge_period_start, served.model_no
    HAVING MIN(in_force.deployment_no) = MAX(in_force.deployment_no)
)
SELECT
    charge_period_start, in_force.pool_no, in_force.deployment_no, reader.model_no,
    reader.prefill_pool_no, reader.prefill_deployment_no
FROM in_force
JOIN reader USING (charge_period_start)
WHERE in_force.role = 'decode' OR in_force.deployment_no = reader.prefill_deployment_no
