-- step:   metering.credit_hourly
-- grain:  charge_period_start, credit_id
-- reads:  book.credit, metering.credit_pool_hourly
-- params: period_start, period_end
-- why:    a credit that finds nothing to pay for in its hour is lost, and how much is lost must show
WITH charge_hour AS (
    SELECT charge_period_start, epoch_us(charge_period_start) AS from_us, epoch_us(charge_period_start) + 3600000000 AS to_us
    FROM (SELECT unnest(range($period_start::TIMESTAMP, $period_end::TIMESTAMP, INTERVAL 1 HOUR)) AS charge_period_start)
),
credit AS (
    SELECT DISTINCT
        credit_id, amount_nano::HUGEINT AS amount, epoch_us(effective_from) AS begins_us,
        epoch_us(effective_to) - epoch_us(effective_from) AS length_us
    FROM book.credit
),
applied AS (
    SELECT charge_period_start, credit_id, SUM(applied_nano) AS applied_nano
    FROM metering.credit_pool_hourly
    WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
    GROUP BY charge_period_start, credit_id
)
SELECT
    charge_period_start, credit_id,
    (amount * (LEAST(to_us - begins_us, length_us)) // length_us - amount * GREATEST(from_us - begins_us, 0) // length_us)::BIGINT AS granted_nano,
    COALESCE(applied_nano, 0)::BIGINT AS applied_nano
FROM charge_hour
JOIN credit ON begins_us < to_us AND begins_us + length_us > from_us
LEFT JOIN applied USING (charge_period_start, credit_id)  -- NULL: nothing to pay for
