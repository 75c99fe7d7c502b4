-- step:   metering.cache_tier_hourly
-- grain:  charge_period_start, pool_no, deployment_no
-- reads:  metering.engine_usage_hourly, book.deployment, book.cache_tier_weight
-- params: period_start, period_end, policy_version
-- why:    no request says which of its tokens came from which tier of the cache, so every cache read of a deployment's hour weighs the
--         mix that its engines tell: shares in basis points that add up, of weights that are multiples of 10000, so nothing is rounded
WITH told AS (
    SELECT
        charge_period_start, pool_no, deployment_no, SUM(tiered_cache_read_tokens) AS cache_read_tokens,
        COALESCE(SUM(cache_read_host_tokens), 0)::HUGEINT AS host_tokens, COALESCE(SUM(cache_read_storage_tokens), 0)::HUGEINT AS storage_tokens
    FROM metering.engine_usage_hourly
    WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP AND deployment_no > 0
    GROUP BY charge_period_start, pool_no, deployment_no
    HAVING SUM(tiered_cache_read_tokens) > 0
),
handed_over AS (  -- prompts of an engine that only decodes come from the one that read them, which is no cache; the first dated row says
    SELECT charge_period_start, pool_no, deployment_no
    FROM told
    JOIN book.deployment AS deployment USING (pool_no, deployment_no)
    WHERE effective_from < charge_period_start + INTERVAL 1 HOUR AND effective_to > charge_period_start
    GROUP BY charge_period_start, pool_no, deployment_no
    HAVING arg_min(role, effective_from) = 'decode'
),
tier AS (
    SELECT
        charge_period_start, pool_no, deployment_no, GREATEST(host_tokens + storage_tokens, cache_read_tokens) AS whole,
        GREATEST(host_tokens + storage_tokens - cache_read_tokens, 0) AS excess_tokens,
        unnest(['device', 'host', 'storage']) AS tier,
        unnest([GREATEST(cache_read_tokens - host_tokens - storage_tokens, 0), host_tokens, storage_tokens]) AS tokens
    FROM told
    ANTI JOIN handed_over USING (charge_period_start, pool_no, deployment_no)
),
ranked AS (
    SELECT
        charge_period_start, pool_no, deployment_no, excess_tokens, tier, tokens * 10000 // whole AS share,
        ROW_NUMBER() OVER (
            PARTITION BY charge_period_start, pool_no, deployment_no ORDER BY tokens * 10000 % whole DESC, tier
        ) AS place,
        10000 - SUM(tokens * 10000 // whole) OVER (PARTITION BY charge_period_start, pool_no, deployment_no) AS left_over
    FROM tier
),
mix AS (
    SELECT
        charge_period_start, pool_no, deployment_no, MAX(excess_tokens)::BIGINT AS excess_tokens,
        MAX(share + (place <= left_over)::INTEGER) FILTER (tier = 'device')::INTEGER  AS device_bp,
        MAX(share + (place <= left_over)::INTEGER) FILTER (tier = 'host')::INTEGER    AS host_bp,
        MAX(share + (place <= left_over)::INTEGER) FILTER (tier = 'storage')::INTEGER AS storage_bp
    FROM ranked
    GROUP BY charge_period_start, pool_no, deployment_no
)
SELECT
    charge_period_start, pool_no, deployment_no, device_bp, host_bp, storage_bp, excess_tokens,
    cache_read_weight // 10000 * device_bp + cache_read_host_weight // 10000 * host_bp + cache_read_storage_weight // 10000 * storage_bp
        AS cache_read_weight
FROM mix
JOIN book.cache_tier_weight ON policy_version = $policy_version::INTEGER
