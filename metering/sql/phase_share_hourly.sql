-- step:   metering.phase_share_hourly
-- grain:  charge_period_start, pool_no, deployment_no
-- reads:  metering.consumption_hourly, metering.token_factor, book.policy
-- params: period_start, period_end, policy_version
-- why:    the one place that says what a workload is split into prefill and decode by: better rungs of the ladder replace the
--         shares, the method and the confidence here, and leave a share 0 where a phase has no weighted tokens
WITH weighed AS (
    SELECT
        usage.charge_period_start, usage.pool_no, usage.deployment_no,
        uncached_input_tokens + cache_read_tokens + cache_write_tokens + output_tokens + reasoning_tokens AS consumed_tokens,
        uncached_input_tokens * (policy.uncached_input_weight * COALESCE(factor, 1))::HUGEINT AS uncached_input_weight,
        cache_read_tokens * (policy.cache_read_weight * COALESCE(factor, 1))::HUGEINT         AS cache_read_weight,
        cache_write_tokens * (policy.cache_write_weight * COALESCE(factor, 1))::HUGEINT       AS cache_write_weight,
        output_tokens * (policy.output_weight * COALESCE(factor, 1))::HUGEINT
            + output_context_tokens * (policy.context_weight * COALESCE(factor, 1))           AS output_weight,
        reasoning_tokens * (policy.reasoning_weight * COALESCE(factor, 1))::HUGEINT
            + reasoning_context_tokens * (policy.context_weight * COALESCE(factor, 1))        AS reasoning_weight
    FROM metering.consumption_hourly AS usage
    JOIN book.policy AS policy ON policy.policy_version = $policy_version::INTEGER
    LEFT JOIN metering.token_factor USING (model_no, tier)  -- NULL: nothing weighs differently
    WHERE usage.charge_period_start >= $period_start::TIMESTAMP AND usage.charge_period_start < $period_end::TIMESTAMP
        AND usage.deployment_no > 0
),
phase AS (
    SELECT
        charge_period_start, pool_no, deployment_no,
        SUM(consumed_tokens)                                                     AS consumed_tokens,
        SUM(uncached_input_weight + cache_read_weight + cache_write_weight)      AS prefill_weight,
        SUM(output_weight + reasoning_weight)                                    AS decode_weight,
        MAX(GREATEST(uncached_input_weight, cache_read_weight, cache_write_weight, output_weight, reasoning_weight)) AS weight_max
    FROM weighed
    GROUP BY charge_period_start, pool_no, deployment_no
)
SELECT
    charge_period_start, pool_no, deployment_no, consumed_tokens::BIGINT AS consumed_tokens,
    prefill_weight::HUGEINT AS prefill_weight, decode_weight::HUGEINT AS decode_weight, weight_max::HUGEINT AS weight_max,
    prefill_weight::HUGEINT AS prefill_share, decode_weight::HUGEINT AS decode_share,
    'weights/1' AS phase_method, 'assumed'::metering.confidence AS confidence
FROM phase
