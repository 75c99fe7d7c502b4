-- step:   metering.origin_charge_hourly
-- grain:  charge_period_start, pool_no, component
-- reads:  book.pool, book.rate, book.shared_cost
-- params: period_start, period_end
-- why:    paid time costs whether or not anyone used it, so hours come from the calendar and not from events
WITH charge_hour AS (
    SELECT unnest(range($period_start::TIMESTAMP, $period_end::TIMESTAMP, INTERVAL 1 HOUR)) AS charge_period_start
),
priced_time AS (
    SELECT
        pool.pool_no, rate.component, rate.per_gpu_hour_nano, pool.gpus,
        GREATEST(pool.effective_from, rate.effective_from) AS priced_from,
        LEAST(pool.effective_to, rate.effective_to)        AS priced_to
    FROM book.pool AS pool
    JOIN book.rate AS rate
        ON rate.pool_no = pool.pool_no
        AND rate.effective_from < pool.effective_to AND rate.effective_to > pool.effective_from
    WHERE pool.effective_from < $period_end::TIMESTAMP AND pool.effective_to > $period_start::TIMESTAMP
),
gpu_time AS (
    SELECT
        charge_hour.charge_period_start, priced_time.pool_no, priced_time.component, priced_time.per_gpu_hour_nano,
        priced_time.gpus::HUGEINT * (
            epoch_us(LEAST(priced_time.priced_to, charge_hour.charge_period_start + INTERVAL 1 HOUR))
            - epoch_us(GREATEST(priced_time.priced_from, charge_hour.charge_period_start))
        ) AS paid_us
    FROM charge_hour
    JOIN priced_time
        ON priced_time.priced_from < charge_hour.charge_period_start + INTERVAL 1 HOUR
        AND priced_time.priced_to > charge_hour.charge_period_start
),
component_cost AS (
    SELECT
        charge_period_start, pool_no, component,
        SUM(paid_us)                     AS paid_us,
        SUM(per_gpu_hour_nano * paid_us) AS nano_us  -- nano-units per hour x microseconds: rounded once, below
    FROM gpu_time
    GROUP BY charge_period_start, pool_no, component
),
shared_hour AS (
    SELECT
        charge_hour.charge_period_start, cost.shared_cost_id, cost.per_month_nano,
        date_diff('hour', date_trunc('month', charge_hour.charge_period_start),
                  date_trunc('month', charge_hour.charge_period_start) + INTERVAL 1 MONTH)                       AS month_hours,
        date_diff('hour', date_trunc('month', charge_hour.charge_period_start), charge_hour.charge_period_start) AS hours_before
    FROM charge_hour
    JOIN book.shared_cost AS cost
        ON cost.effective_from <= charge_hour.charge_period_start AND cost.effective_to > charge_hour.charge_period_start
)
SELECT
    charge_period_start, pool_no, component, paid_us::HUGEINT AS paid_us,
    (nano_us // 3600000000 + CASE
        WHEN nano_us % 3600000000 > 1800000000 THEN 1
        WHEN nano_us % 3600000000 = 1800000000 THEN nano_us // 3600000000 % 2  -- a tie goes to the even one
        ELSE 0 END)::BIGINT AS effective_cost_nano
FROM component_cost
UNION ALL BY NAME
SELECT
    charge_period_start, 0 AS pool_no, shared_cost_id AS component, 0::HUGEINT AS paid_us,
    (per_month_nano // month_hours + CASE WHEN hours_before < per_month_nano % month_hours THEN 1 ELSE 0 END)::BIGINT
        AS effective_cost_nano
FROM shared_hour
