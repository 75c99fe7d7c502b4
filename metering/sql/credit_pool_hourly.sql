-- step:   metering.credit_pool_hourly
-- grain:  charge_period_start, credit_id, pool_no
-- reads:  book.credit, metering.purchase_hourly
-- params: period_start, period_end
-- why:    credits pay one after another, each for its pools in order, and never more than these still owe
WITH RECURSIVE charge_hour AS (
    SELECT charge_period_start, epoch_us(charge_period_start) AS from_us, epoch_us(charge_period_start) + 3600000000 AS to_us
    FROM (SELECT unnest(range($period_start::TIMESTAMP, $period_end::TIMESTAMP, INTERVAL 1 HOUR)) AS charge_period_start)
),
granted AS (
    SELECT
        charge_period_start, credit_id, round_no, pool_no, pool_order,
        amount_nano::HUGEINT * (LEAST(to_us, epoch_us(effective_to)) - epoch_us(effective_from)) // (epoch_us(effective_to) - epoch_us(effective_from))
            - amount_nano::HUGEINT * (GREATEST(from_us, epoch_us(effective_from)) - epoch_us(effective_from))
            // (epoch_us(effective_to) - epoch_us(effective_from)) AS granted_nano
    FROM charge_hour
    JOIN book.credit AS credit ON epoch_us(effective_from) < to_us AND epoch_us(effective_to) > from_us
),
owed AS (
    SELECT charge_period_start, pool_no, SUM(effective_cost_nano)::HUGEINT AS owed_nano
    FROM metering.purchase_hourly
    SEMI JOIN granted USING (charge_period_start, pool_no)
    WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP AND cause = ''
    GROUP BY charge_period_start, pool_no
),
applied AS (  -- round after round, over all hours and pools at once
    SELECT charge_period_start, pool_no, 0 AS round_no, '' AS credit_id, owed_nano, 0::HUGEINT AS applied_nano FROM owed
    UNION ALL
    SELECT
        charge_period_start, pool_no, round_no, COALESCE(credit_id, '') AS credit_id, owed_nano - taken_nano AS owed_nano,
        taken_nano AS applied_nano
    FROM (
        SELECT
            before.charge_period_start, before.pool_no, before.round_no + 1 AS round_no, granted.credit_id, before.owed_nano,
            COALESCE(LEAST(before.owed_nano, GREATEST(granted.granted_nano - (
                SUM(before.owed_nano) OVER (
                    PARTITION BY before.charge_period_start, granted.credit_id ORDER BY granted.pool_order, before.pool_no
                    ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) - before.owed_nano), 0)), 0)::HUGEINT AS taken_nano
        FROM applied AS before
        LEFT JOIN granted  -- NULL: the credit is not for this pool, or not for this hour
            ON granted.round_no = before.round_no + 1 AND granted.pool_no = before.pool_no
            AND granted.charge_period_start = before.charge_period_start
        WHERE before.round_no < (SELECT MAX(round_no) FROM book.credit)
    )
)
SELECT charge_period_start, credit_id, pool_no, applied_nano::BIGINT AS applied_nano
FROM applied
WHERE applied_nano > 0
