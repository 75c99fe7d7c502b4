-- audit:  unpriced_is_explained
-- reads:  metering.charge_hourly
-- params: period_start, period_end
-- why:    unpriced is not free: a line without a cost says why, and no other line goes without
SELECT
    charge_period_start, pool_no, deployment_no, provider, model_no, caller_no, cost_kind, cause, token_kind,
    effective_cost_nano
FROM metering.charge_hourly
WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
    AND (effective_cost_nano IS NULL) <> (
        cost_kind = 'workload' AND cause = 'unplaced'
        OR cost_kind = 'external' AND cause IN ('no_price', 'no_tier', 'no_condition', 'no_kind', 'no_fx')
    )
