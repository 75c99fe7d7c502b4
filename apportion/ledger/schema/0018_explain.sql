-- What explains an hour to the bottom: its origin charges, its idle by cause, and every rung that could split its phases.
CREATE VIEW export.origin_charges AS
SELECT
    origin.charge_period_start, pool.pool_id, origin.component, origin.evidence, origin.currency, origin.cause, origin.paid_us,
    origin.effective_cost_nano, origin.billed_cost_nano, origin.list_cost_nano, origin.contracted_cost_nano,
    origin.cost_in_currency_nano
FROM metering.origin_charge_hourly AS origin
JOIN book.pool_key AS pool USING (pool_no);
COMMENT ON VIEW export.origin_charges IS 'what each hour of each pool cost, by component and evidence; the empty pool carries shared costs';

CREATE VIEW export.idle_hours AS
SELECT idle.charge_period_start, pool.pool_id, deployment.deployment_id, idle.cause, idle.idle_nano
FROM metering.idle_hourly AS idle
JOIN book.pool_key AS pool USING (pool_no)
JOIN book.deployment_key AS deployment USING (deployment_no);
COMMENT ON VIEW export.idle_hours IS 'idle cost of each deployment and hour by its cause; the empty deployment is unscheduled';

CREATE VIEW export.phase_methods AS
SELECT
    method.charge_period_start, pool.pool_id, deployment.deployment_id, method.rung, method.phase_method, method.prefill_share,
    method.decode_share, method.confidence::VARCHAR AS confidence, method.inputs, method.failure
FROM metering.phase_method_hourly AS method
JOIN book.pool_key AS pool USING (pool_no)
JOIN book.deployment_key AS deployment USING (deployment_no);
COMMENT ON VIEW export.phase_methods IS 'what each rung of the ladder says of a deployment''s hour, or why it says nothing';
