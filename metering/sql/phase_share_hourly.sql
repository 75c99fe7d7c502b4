-- step:   metering.phase_share_hourly
-- grain:  charge_period_start, pool_no, deployment_no
-- reads:  metering.placed_usage_hourly, book.policy
-- params: period_start, period_end, policy_version
-- why:    the one place that says what a workload is split into prefill and decode by; better rungs of the ladder replace the
--         shares, the method and the confidence here, and leave a share 0 where a phase has no weighted tokens
WITH weighed AS (
    SELECT
        usage.charge_period_start, usage.pool_no, usage.deployment_no,
        SUM(usage.uncached_input_tokens) AS uncached_input_tokens, SUM(usage.cache_read_tokens) AS cache_read_tokens,
        SUM(usage.cache_write_tokens) AS cache_write_tokens, SUM(usage.output_tokens) AS output_tokens,
        SUM(usage.reasoning_tokens) AS reasoning_tokens
    FROM metering.placed_usage_hourly AS usage
    WHERE usage.charge_period_start >= $period_start::TIMESTAMP AND usage.charge_period_start < $period_end::TIMESTAMP
        AND usage.deployment_no > 0
    GROUP BY usage.charge_period_start, usage.pool_no, usage.deployment_no
),
weight AS (
    SELECT
        weighed.charge_period_start, weighed.pool_no, weighed.deployment_no,
        uncached_input_tokens + cache_read_tokens + cache_write_tokens + output_tokens + reasoning_tokens AS consumed_tokens,
        uncached_input_tokens * policy.uncached_input_weight + cache_read_tokens * policy.cache_read_weight
            + cache_write_tokens * policy.cache_write_weight                                              AS prefill_weight,
        output_tokens * policy.output_weight + reasoning_tokens * policy.reasoning_weight                 AS decode_weight
    FROM weighed
    JOIN book.policy AS policy ON policy.policy_version = $policy_version::INTEGER
)
SELECT
    charge_period_start, pool_no, deployment_no, consumed_tokens::BIGINT AS consumed_tokens,
    prefill_weight::HUGEINT AS prefill_weight, decode_weight::HUGEINT AS decode_weight,
    prefill_weight::HUGEINT AS prefill_share, decode_weight::HUGEINT AS decode_share,
    'weights/1' AS phase_method, 'assumed' AS confidence
FROM weight
