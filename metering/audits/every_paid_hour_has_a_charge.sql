-- audit:  every_paid_hour_has_a_charge
-- reads:  book.pool, metering.origin_charge_hourly
-- params: period_start, period_end
-- why:    every microsecond of every GPU that was bought is covered or priced, events or none
WITH charge_hour AS (
    SELECT unnest(range($period_start::TIMESTAMP, $period_end::TIMESTAMP, INTERVAL 1 HOUR)) AS charge_period_start
),
bought AS (
    SELECT
        charge_hour.charge_period_start, pool.pool_no,
        SUM(pool.gpus * (epoch_us(LEAST(pool.effective_to, charge_hour.charge_period_start + INTERVAL 1 HOUR))
                         - epoch_us(GREATEST(pool.effective_from, charge_hour.charge_period_start)))) AS bought_us
    FROM charge_hour
    JOIN book.pool AS pool
        ON pool.effective_from < charge_hour.charge_period_start + INTERVAL 1 HOUR
        AND pool.effective_to > charge_hour.charge_period_start
    GROUP BY charge_hour.charge_period_start, pool.pool_no
),
charged AS (
    SELECT charge_period_start, pool_no, SUM(paid_us) AS charged_us
    FROM metering.origin_charge_hourly
    WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
        AND component = 'accelerator' AND pool_no > 0 AND cause = ''
    GROUP BY charge_period_start, pool_no
)
SELECT
    charge_period_start, pool_no,
    COALESCE(bought_us, 0)  AS bought_us,
    COALESCE(charged_us, 0) AS charged_us
FROM bought
FULL JOIN charged USING (charge_period_start, pool_no)  -- NULL: nothing on that side
WHERE COALESCE(bought_us, 0) <> COALESCE(charged_us, 0)
