-- audit:  no_negative_charge
-- reads:  metering.charge_hourly
-- params: period_start, period_end
-- why:    an hour only costs; what gives money back is a settlement or a correction, and neither is metered
SELECT
    charge_period_start, pool_no, deployment_no, model_no, caller_no, cost_kind, cause, token_kind,
    consumed_tokens, effective_cost_nano
FROM metering.charge_hourly
WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
    AND (effective_cost_nano < 0 OR consumed_tokens < 0)
