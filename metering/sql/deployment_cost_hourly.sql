-- step:   metering.deployment_cost_hourly
-- grain:  charge_period_start, pool_no, deployment_no
-- reads:  metering.origin_charge_hourly, book.pool, book.deployment, book.deployment_key
-- params: period_start, period_end
-- why:    a pool's charge goes to its deployments by the GPU time they hold, and what none holds stays visible as deployment 0
WITH charge_hour AS (
    SELECT unnest(range($period_start::TIMESTAMP, $period_end::TIMESTAMP, INTERVAL 1 HOUR)) AS charge_period_start
),
held AS (
    SELECT
        charge_hour.charge_period_start, deployment.pool_no, deployment.deployment_no, deployment.utilization,
        deployment.effective_from, deployment.capacity_per_gpu_hour, deployment.capacity_source,
        deployment.gpus * (epoch_us(LEAST(deployment.effective_to, charge_hour.charge_period_start + INTERVAL 1 HOUR))
                           - epoch_us(GREATEST(deployment.effective_from, charge_hour.charge_period_start))) AS paid_us
    FROM charge_hour
    JOIN book.deployment AS deployment
        ON deployment.effective_from < charge_hour.charge_period_start + INTERVAL 1 HOUR
        AND deployment.effective_to > charge_hour.charge_period_start
),
bought AS (
    SELECT
        charge_hour.charge_period_start, pool.pool_no,
        SUM(pool.gpus * (epoch_us(LEAST(pool.effective_to, charge_hour.charge_period_start + INTERVAL 1 HOUR))
                         - epoch_us(GREATEST(pool.effective_from, charge_hour.charge_period_start))))::BIGINT AS paid_us
    FROM charge_hour
    JOIN book.pool AS pool
        ON pool.effective_from < charge_hour.charge_period_start + INTERVAL 1 HOUR
        AND pool.effective_to > charge_hour.charge_period_start
    GROUP BY charge_hour.charge_period_start, pool.pool_no
),
part AS (  -- of several dated rows in one hour, the first says how utilization is read
    SELECT
        charge_period_start, pool_no, deployment_no, SUM(paid_us)::BIGINT AS paid_us,
        arg_min(utilization, effective_from) AS utilization, arg_min(capacity_source, effective_from) AS capacity_source,
        SUM(COALESCE(capacity_per_gpu_hour, 0)::HUGEINT * paid_us) AS capacity_token_us
    FROM held
    GROUP BY charge_period_start, pool_no, deployment_no
    UNION ALL
    SELECT charge_period_start, pool_no, 0, bought.paid_us - COALESCE(SUM(held.paid_us), 0)::BIGINT AS paid_us, '', '', 0
    FROM bought
    LEFT JOIN held USING (charge_period_start, pool_no)  -- NULL: nothing is deployed
    GROUP BY charge_period_start, pool_no, bought.paid_us
    HAVING bought.paid_us > COALESCE(SUM(held.paid_us), 0)
),
origin AS (
    SELECT charge_period_start, pool_no, SUM(effective_cost_nano) AS cost
    FROM metering.origin_charge_hourly
    WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP AND cause = ''
    GROUP BY charge_period_start, pool_no
),
weighed AS (
    SELECT
        part.*, key.deployment_id, COALESCE(origin.cost, 0) AS cost,
        GREATEST(SUM(part.paid_us) OVER (PARTITION BY charge_period_start, pool_no), 1) AS whole
    FROM part
    JOIN book.deployment_key AS key USING (deployment_no)
    LEFT JOIN origin USING (charge_period_start, pool_no)  -- NULL: a pool that charges nothing
),
ranked AS (
    SELECT
        weighed.*, cost * paid_us // whole AS share,
        cost - SUM(cost * paid_us // whole) OVER (PARTITION BY charge_period_start, pool_no) AS left_over,
        ROW_NUMBER() OVER (PARTITION BY charge_period_start, pool_no ORDER BY cost * paid_us % whole DESC, deployment_id) AS place
    FROM weighed
)
SELECT
    charge_period_start, pool_no, deployment_no, paid_us,
    (share + CASE WHEN place <= left_over THEN 1 ELSE 0 END)::BIGINT AS effective_cost_nano,
    utilization, capacity_source, capacity_token_us::HUGEINT AS capacity_token_us
FROM ranked
