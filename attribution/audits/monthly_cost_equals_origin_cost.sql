-- audit:  monthly_cost_equals_origin_cost
-- reads:  attribution.charge_monthly, metering.origin_charge_hourly, metering.metered_hour
-- params: period_start, period_end
-- why:    the law: the lines of a month add up to what each pool, and everything shared, cost in its metered hours
WITH side AS (
    SELECT origin.pool_no, origin.effective_cost_nano::HUGEINT AS cost_nano
    FROM metering.origin_charge_hourly AS origin
    JOIN metering.metered_hour USING (charge_period_start)
    WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
    UNION ALL
    SELECT pool_no, -effective_cost_nano
    FROM attribution.charge_monthly
    WHERE billing_period = $period_start::TIMESTAMP AND cost_kind <> 'external'
)
SELECT pool_no, SUM(cost_nano) AS lost_nano
FROM side
GROUP BY pool_no
HAVING COALESCE(SUM(cost_nano), 0) <> 0
