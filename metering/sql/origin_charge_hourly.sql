-- step:   metering.origin_charge_hourly
-- grain:  charge_period_start, pool_no, component, evidence, currency, cause
-- reads:  metering.purchase_hourly, metering.credit_pool_hourly, book.shared_cost
-- params: period_start, period_end
-- why:    paid time costs whether or not anyone used it, so hours come from the calendar and not from events
WITH charge_hour AS (
    SELECT unnest(range($period_start::TIMESTAMP, $period_end::TIMESTAMP, INTERVAL 1 HOUR)) AS charge_period_start
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
),
cost AS (
    SELECT
        charge_period_start, pool_no, component, evidence, currency, cause, paid_us, effective_cost_nano, billed_cost_nano,
        list_cost_nano, contracted_cost_nano, cost_in_currency_nano
    FROM metering.purchase_hourly
    WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
    UNION ALL
    SELECT charge_period_start, pool_no, 'credit', 'credit/' || credit_id, '', '', 0, -applied_nano, -applied_nano, 0, -applied_nano, NULL
    FROM metering.credit_pool_hourly
    WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
    UNION ALL
    SELECT charge_period_start, 0, shared_cost_id, '', '', '', 0, hour_nano, hour_nano, hour_nano, hour_nano, NULL
    FROM (
        SELECT shared_hour.*, per_month_nano // month_hours + CASE WHEN hours_before < per_month_nano % month_hours THEN 1 ELSE 0 END AS hour_nano
        FROM shared_hour
    )
)
SELECT
    charge_period_start, pool_no, component, evidence, currency, cause, paid_us::HUGEINT AS paid_us,
    effective_cost_nano::BIGINT  AS effective_cost_nano,
    billed_cost_nano::BIGINT     AS billed_cost_nano,
    list_cost_nano::BIGINT       AS list_cost_nano,
    contracted_cost_nano::BIGINT AS contracted_cost_nano,
    cost_in_currency_nano::BIGINT AS cost_in_currency_nano
FROM cost
