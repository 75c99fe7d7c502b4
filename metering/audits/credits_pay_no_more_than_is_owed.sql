-- audit:  credits_pay_no_more_than_is_owed
-- reads:  metering.origin_charge_hourly, metering.credit_hourly
-- params: period_start, period_end
-- why:    what deployments share of a pool's hour is never negative, and no credit pays more than it grants
SELECT charge_period_start, pool_no, '' AS credit_id, SUM(effective_cost_nano) AS nano
FROM metering.origin_charge_hourly
WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP AND cause = ''
GROUP BY charge_period_start, pool_no
HAVING SUM(effective_cost_nano) < 0
UNION ALL
SELECT charge_period_start, 0, credit_id, granted_nano - applied_nano
FROM metering.credit_hourly
WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
    AND (applied_nano > granted_nano OR applied_nano < 0)
