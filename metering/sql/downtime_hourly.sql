-- step:   metering.downtime_hourly
-- grain:  charge_period_start, pool_no, deployment_no, cause
-- reads:  book.downtime, book.deployment
-- params: period_start, period_end
-- why:    GPU time that was paid for and could not serve is known by its cause, before anybody asks how busy the rest was
WITH down AS (
    SELECT
        charge_hour.charge_period_start, deployment.pool_no, deployment.deployment_no, downtime.cause,
        COALESCE(deployment.capacity_per_gpu_hour, 0) AS capacity_per_gpu_hour,
        downtime.gpus * (
            epoch_us(LEAST(downtime.effective_to, deployment.effective_to, charge_hour.charge_period_start + INTERVAL 1 HOUR))
            - epoch_us(GREATEST(downtime.effective_from, deployment.effective_from, charge_hour.charge_period_start))) AS down_us
    FROM (SELECT unnest(range($period_start::TIMESTAMP, $period_end::TIMESTAMP, INTERVAL 1 HOUR)) AS charge_period_start) AS charge_hour
    JOIN book.downtime AS downtime
        ON downtime.effective_from < charge_hour.charge_period_start + INTERVAL 1 HOUR
        AND downtime.effective_to > charge_hour.charge_period_start
    JOIN book.deployment AS deployment
        ON deployment.deployment_no = downtime.deployment_no
        AND deployment.effective_from < LEAST(downtime.effective_to, charge_hour.charge_period_start + INTERVAL 1 HOUR)
        AND deployment.effective_to > GREATEST(downtime.effective_from, charge_hour.charge_period_start)
)
SELECT
    charge_period_start, pool_no, deployment_no, cause, SUM(down_us)::BIGINT AS down_us,
    SUM(capacity_per_gpu_hour::HUGEINT * down_us)::HUGEINT AS capacity_token_us
FROM down
GROUP BY charge_period_start, pool_no, deployment_no, cause
