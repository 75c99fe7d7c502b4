-- What a figure needs to be worked out by hand: what external usage cost by whose price, and the capacity used.
CREATE VIEW export.external_charges AS
SELECT
    usage.charge_period_start, coalesce(caller.team, nobody.team, '') AS team_id, usage.provider, model.model_id, usage.tier,
    usage.token_kind::VARCHAR AS token_kind, usage.cause, usage.price_evidence, usage.currency,
    sum(usage.consumed_tokens)::HUGEINT AS consumed_tokens, sum(usage.cost_in_currency_nano)::HUGEINT AS cost_in_currency_nano,
    sum(usage.effective_cost_nano)::HUGEINT AS effective_cost_nano
FROM metering.external_usage_hourly AS usage
JOIN book.model AS model USING (model_no)
LEFT JOIN attribution.caller_team AS caller  -- NULL: nobody
    ON caller.caller_no = usage.caller_no AND caller.effective_from <= usage.charge_period_start
    AND usage.charge_period_start < caller.effective_to
LEFT JOIN attribution.system_team AS nobody ON nobody.cost_kind = 'external' AND usage.caller_no = 0  -- NULL: a caller's
GROUP BY ALL;
COMMENT ON VIEW export.external_charges IS 'external usage of each hour by team, with the sources of its prices and what it came to in their currency';

CREATE OR REPLACE VIEW export.hours AS
SELECT
    hour_cost.charge_period_start, pool.pool_id, deployment.deployment_id, hour_cost.paid_us, hour_cost.effective_cost_nano,
    hour_cost.utilization, hour_cost.observed_us, hour_cost.low_coverage, hour_cost.workload_nano, hour_cost.idle_nano,
    hour_cost.idle_cause, hour_cost.unmeasured_nano, hour_cost.unattributed_nano, hour_cost.prefill_nano,
    hour_cost.decode_nano, hour_cost.allocation_method, hour_cost.confidence, hour_cost.active_ppm_us,
    hour_cost.prefill_weight + hour_cost.decode_weight AS used_weight, policy.weight_scale,
    (coalesce(cost.capacity_token_us, 0) - coalesce(down.capacity_token_us, 0))::HUGEINT AS capacity_token_us
FROM metering.deployment_hourly AS hour_cost
JOIN book.pool_key AS pool USING (pool_no)
JOIN book.deployment_key AS deployment USING (deployment_no)
LEFT JOIN metering.deployment_cost_hourly AS cost USING (charge_period_start, pool_no, deployment_no)  -- NULL: no capacity
LEFT JOIN (
    SELECT charge_period_start, pool_no, deployment_no, sum(capacity_token_us) AS capacity_token_us
    FROM metering.downtime_hourly
    GROUP BY charge_period_start, pool_no, deployment_no
) AS down USING (charge_period_start, pool_no, deployment_no)  -- NULL: all could serve
LEFT JOIN metering.metered_hour AS hour USING (charge_period_start)  -- NULL: no policy is known, and no weight
LEFT JOIN book.policy AS policy USING (policy_version);
COMMENT ON VIEW export.hours IS 'what each deployment cost each hour and how that divides; the empty deployment is unscheduled; used_weight is tokens x weight_scale, capacity_token_us what it could serve x microseconds of an hour';
