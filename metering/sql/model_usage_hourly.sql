-- step:   metering.model_usage_hourly
-- grain:  charge_period_start, pool_no, deployment_no, model_no
-- reads:  metering.consumption_hourly, metering.token_factor, metering.cache_tier_hourly, book.policy
-- params: period_start, period_end, policy_version
-- why:    what a deployment consumed by model and what it weighs: added up once, for all that is decided about phases
WITH weighed AS (
    SELECT
        usage.charge_period_start, usage.pool_no, usage.deployment_no, usage.model_no,
        uncached_input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens,
        output_context_tokens + reasoning_context_tokens AS context_tokens,
        uncached_input_tokens * (policy.uncached_input_weight * COALESCE(factor, 1))::HUGEINT AS uncached_input_weight,
        cache_read_tokens * (COALESCE(mix.cache_read_weight, policy.cache_read_weight) * COALESCE(factor, 1))::HUGEINT
                                                                                              AS cache_read_weight,
        cache_write_tokens * (policy.cache_write_weight * COALESCE(factor, 1))::HUGEINT       AS cache_write_weight,
        output_tokens * (policy.output_weight * COALESCE(factor, 1))::HUGEINT
            + output_context_tokens * (policy.context_weight * COALESCE(factor, 1))           AS output_weight,
        reasoning_tokens * (policy.reasoning_weight * COALESCE(factor, 1))::HUGEINT
            + reasoning_context_tokens * (policy.context_weight * COALESCE(factor, 1))        AS reasoning_weight
    FROM metering.consumption_hourly AS usage
    JOIN book.policy AS policy ON policy.policy_version = $policy_version::INTEGER
    LEFT JOIN metering.token_factor USING (model_no, tier)  -- NULL: nothing weighs differently
    LEFT JOIN metering.cache_tier_hourly AS mix USING (charge_period_start, pool_no, deployment_no)  -- NULL: nor do tiers of the cache
    WHERE usage.charge_period_start >= $period_start::TIMESTAMP AND usage.charge_period_start < $period_end::TIMESTAMP
        AND usage.deployment_no > 0
)
SELECT
    charge_period_start, pool_no, deployment_no, model_no,
    SUM(uncached_input_tokens)::BIGINT AS uncached_input_tokens, SUM(cache_read_tokens)::BIGINT AS cache_read_tokens,
    SUM(cache_write_tokens)::BIGINT AS cache_write_tokens, SUM(output_tokens)::BIGINT AS output_tokens,
    SUM(reasoning_tokens)::BIGINT AS reasoning_tokens, SUM(context_tokens)::HUGEINT AS context_tokens,
    SUM(uncached_input_weight + cache_read_weight + cache_write_weight)::HUGEINT AS prefill_weight,
    SUM(output_weight + reasoning_weight)::HUGEINT                               AS decode_weight,
    MAX(GREATEST(uncached_input_weight, cache_read_weight, cache_write_weight, output_weight, reasoning_weight))::HUGEINT
        AS weight_max
FROM weighed
GROUP BY charge_period_start, pool_no, deployment_no, model_no
