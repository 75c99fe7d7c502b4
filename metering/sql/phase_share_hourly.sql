-- step:   metering.phase_share_hourly
-- grain:  charge_period_start, pool_no, deployment_no
-- reads:  metering.model_usage_hourly, metering.phase_method_hourly, metering.cache_tier_hourly, book.deployment
-- params: period_start, period_end
-- why:    the one place that chooses what a workload is split into prefill and decode by: the method that the deployment asks for, or
--         the best that can say; a method that was asked for and cannot leaves the hour to weights
WITH phase AS (
    SELECT
        charge_period_start, pool_no, deployment_no,
        SUM(uncached_input_tokens + cache_read_tokens + cache_write_tokens + output_tokens + reasoning_tokens) AS consumed_tokens,
        SUM(prefill_weight) AS prefill_weight, SUM(decode_weight) AS decode_weight, MAX(weight_max) AS weight_max
    FROM metering.model_usage_hourly
    WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
    GROUP BY charge_period_start, pool_no, deployment_no
),
wanted AS (  -- of several dated rows in one hour, the first says
    SELECT charge_period_start, phase.pool_no, phase.deployment_no, COALESCE(arg_min(phase_split, effective_from), 'weights') AS phase_split
    FROM phase
    LEFT JOIN book.deployment AS deployment  -- NULL: usage of a pool that it left
        ON deployment.pool_no = phase.pool_no AND deployment.deployment_no = phase.deployment_no
        AND effective_from < charge_period_start + INTERVAL 1 HOUR AND effective_to > charge_period_start
    GROUP BY charge_period_start, phase.pool_no, phase.deployment_no
),
ranked AS (
    SELECT
        method.*, phase_split,
        ROW_NUMBER() OVER (
            PARTITION BY charge_period_start, pool_no, deployment_no
            ORDER BY phase_method = 'weights/1' AND phase_split NOT IN ('auto', 'weights'), rung, phase_method <> 'role/1'
        ) AS place
    FROM metering.phase_method_hourly AS method
    JOIN wanted USING (charge_period_start, pool_no, deployment_no)
    WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP AND failure = ''
        AND (phase_method = 'weights/1' OR phase_split = 'auto'
             OR phase_split = CASE phase_method WHEN 'role/1' THEN 'measured' ELSE split_part(phase_method, '/', 1) END)
)
SELECT
    charge_period_start, pool_no, deployment_no, consumed_tokens::BIGINT AS consumed_tokens,
    prefill_weight::HUGEINT AS prefill_weight, decode_weight::HUGEINT AS decode_weight, weight_max::HUGEINT AS weight_max,
    prefill_share, decode_share, phase_method, confidence, phase_split, cache_read_weight
FROM phase
JOIN ranked USING (charge_period_start, pool_no, deployment_no)
LEFT JOIN metering.cache_tier_hourly USING (charge_period_start, pool_no, deployment_no)  -- NULL: tiers of the cache weigh alike
WHERE place = 1
