-- step:   metering.charge_hourly
-- grain:  charge_period_start, pool_no, deployment_no, provider, model_no, caller_no, tier, cost_kind, cause, token_kind
-- reads:  metering.deployment_hourly, metering.deployment_cost_hourly, metering.idle_hourly, metering.phase_share_hourly,
--         metering.prefill_unplaced_hourly, metering.consumption_hourly, metering.token_factor, metering.external_usage_hourly, metering.origin_charge_hourly,
--         raw.caller, book.model, book.policy
-- params: period_start, period_end, policy_version
-- why:    every nano of an hour and every token on exactly one line; within a phase the largest remainders take what is left
WITH deployment_hour AS (
    SELECT
        deployment.*, COALESCE(phase.weight_max, 0) AS weight_max, phase.cache_read_weight,  -- NULL: no usage; tiers of the cache weigh alike
        CASE deployment.utilization
            WHEN 'capacity' THEN CASE capacity_source WHEN 'learned' THEN 'calibrated' WHEN 'load_tested' THEN 'measured' ELSE 'assumed' END
            WHEN 'allocation' THEN 'assumed'
            ELSE 'measured' END::metering.confidence AS utilization_confidence,
        CASE
            WHEN phase.consumed_tokens > 0 THEN 'zero_weight'
            WHEN unplaced.deployment_no IS NOT NULL THEN 'unplaced_prefill'
            ELSE 'busy_no_tokens' END AS unattributed_cause,
        ROW_NUMBER() OVER (ORDER BY charge_period_start, pool_no, deployment_no)::INTEGER AS hour_no
    FROM metering.deployment_hourly AS deployment
    JOIN metering.deployment_cost_hourly AS cost USING (charge_period_start, pool_no, deployment_no)
    LEFT JOIN metering.phase_share_hourly AS phase USING (charge_period_start, pool_no, deployment_no)
    LEFT JOIN metering.prefill_unplaced_hourly AS unplaced USING (charge_period_start, pool_no, deployment_no)  -- NULL: its prompts are
    WHERE deployment.charge_period_start >= $period_start::TIMESTAMP AND deployment.charge_period_start < $period_end::TIMESTAMP
),
kind AS (  -- numbered in the order of their names, which is the order of ties
    SELECT unnest([0, 1, 2, 3, 4]) AS kind_no,
        unnest(['cache_read', 'cache_write', 'output', 'reasoning', 'uncached_input']::metering.token_kind[])     AS token_kind,
        unnest([FALSE, FALSE, TRUE, TRUE, FALSE])                                                                AS decodes,
        unnest([cache_read_weight, cache_write_weight, output_weight, reasoning_weight, uncached_input_weight])  AS weight,
        unnest([0, 0, context_weight, context_weight, 0])                                                        AS context_weight
    FROM book.policy
    WHERE policy_version = $policy_version::INTEGER
),
label AS (
    SELECT
        model_no, caller_no, tier, ROW_NUMBER() OVER (ORDER BY model_id, caller, tier)::INTEGER AS label_no, COALESCE(factor, 1) AS factor
    FROM (
        SELECT DISTINCT model_no, caller_no, tier FROM metering.consumption_hourly
        WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
    )
    JOIN book.model USING (model_no)
    JOIN raw.caller USING (caller_no)
    LEFT JOIN metering.token_factor USING (model_no, tier)  -- NULL: nothing weighs differently
),
phase AS (  -- cost x weight // whole = cost // whole x weight + cost % whole x weight // whole
    SELECT
        hour_no, kind_no, hour_no * 2 + decodes::INTEGER AS phase_no, weight, context_weight, cost, whole,
        (cost // whole)::BIGINT AS quotient, (cost % whole)::BIGINT AS rest,
        whole <= 70368744177664 AS narrow,  -- 2^46: then digits of 2^16 divide in 64 bits
        weight_max <= 100000000000000000000000000000000000000 // GREATEST(cost % whole, 1) AS wide
    FROM (
        SELECT hour_no, kind_no, decodes, context_weight, weight_max,
            CASE kind_no WHEN 0 THEN COALESCE(cache_read_weight, weight) ELSE weight END AS weight,
            CASE WHEN decodes THEN decode_nano ELSE prefill_nano END AS cost,
            GREATEST(CASE WHEN decodes THEN decode_weight ELSE prefill_weight END, 1) AS whole
        FROM deployment_hour CROSS JOIN kind
    )
),
token AS NOT MATERIALIZED (
    SELECT
        phase.phase_no, phase.cost, phase.whole, phase.quotient, phase.rest, phase.narrow, phase.wide,
        phase.weight * label.factor AS weight, phase.context_weight * label.factor AS context_weight, label.label_no * 5 + kind_no AS key_no,
        CASE kind_no WHEN 0 THEN cache_read_tokens WHEN 1 THEN cache_write_tokens WHEN 2 THEN output_tokens
            WHEN 3 THEN reasoning_tokens ELSE uncached_input_tokens END AS tokens,
        CASE WHEN phase.context_weight = 0 THEN 0 WHEN kind_no = 2 THEN output_context_tokens ELSE reasoning_context_tokens END AS context_tokens
    FROM metering.consumption_hourly AS usage
    JOIN label USING (model_no, caller_no, tier)
    JOIN deployment_hour USING (charge_period_start, pool_no, deployment_no)
    JOIN phase USING (hour_no)
    WHERE usage.charge_period_start >= $period_start::TIMESTAMP AND usage.charge_period_start < $period_end::TIMESTAMP
        AND usage.deployment_no > 0
),
narrow_weighed AS (  -- no weight is more than the whole
    SELECT
        phase_no, key_no, tokens, cost, whole::BIGINT AS whole, quotient, rest,
        tokens * weight + (context_tokens * context_weight)::BIGINT AS weight
    FROM token
    WHERE tokens > 0 AND narrow
),
narrow_high AS (
    SELECT
        narrow_weighed.*, weight // 4294967296 * rest // whole AS digit, weight // 4294967296 * rest % whole AS carry
    FROM narrow_weighed
),
narrow_middle AS (
    SELECT
        narrow_high.* REPLACE (
            digit * 65536 + (carry * 65536 + weight // 65536 % 65536 * rest) // whole AS digit,
            (carry * 65536 + weight // 65536 % 65536 * rest) % whole                  AS carry)
    FROM narrow_high
),
narrow_part AS (
    SELECT
        phase_no, key_no, tokens, cost,
        quotient * weight + digit * 65536 + (carry * 65536 + weight % 65536 * rest) // whole AS share,
        (carry * 65536 + weight % 65536 * rest) % whole                                      AS remainder
    FROM narrow_middle
),
weighed AS (
    SELECT
        phase_no, key_no, tokens, cost, whole, wide, quotient, rest,
        tokens * weight::HUGEINT + context_tokens * context_weight::HUGEINT AS weight
    FROM token
    WHERE tokens > 0 AND NOT narrow
),
long AS (  -- long division by digits of 1e7, as where phases are split, where cost x weight alone can exceed 128 bits
    SELECT
        weighed.*, CASE WHEN wide THEN NULL ELSE rest // 100000000000000 * weight END AS high,
        CASE WHEN wide THEN NULL ELSE rest // 10000000 % 10000000 * weight END        AS middle
    FROM weighed
),
divided AS (
    SELECT
        phase_no, key_no, tokens, cost, whole,
        CASE WHEN wide THEN quotient * weight
            ELSE quotient * weight + high // whole * 100000000000000 + (high % whole * 10000000 + middle) // whole * 10000000 END AS share,
        CASE WHEN wide THEN rest * weight
            ELSE (high % whole * 10000000 + middle) % whole * 10000000 + rest % 10000000 * weight END AS rest
    FROM long
),
part AS (
    SELECT phase_no, key_no, tokens, cost, (share + rest // whole)::BIGINT AS share, rest % whole AS remainder
    FROM divided
),
ranked AS (
    SELECT
        phase_no, key_no, tokens, share,
        ROW_NUMBER() OVER largest_first AS place,
        cost - SUM(share) OVER (largest_first ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS left_over
    FROM narrow_part
    WINDOW largest_first AS (PARTITION BY phase_no ORDER BY remainder DESC, key_no)
    UNION ALL
    SELECT
        phase_no, key_no, tokens, share,
        ROW_NUMBER() OVER largest_first AS place,
        cost - SUM(share) OVER (largest_first ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS left_over
    FROM part
    WINDOW largest_first AS (PARTITION BY phase_no ORDER BY remainder DESC, key_no)
)
SELECT
    charge_period_start, pool_no, deployment_no, 'self' AS provider, model_no, caller_no, tier,
    'workload'::metering.cost_kind AS cost_kind, CASE WHEN caller_no = 0 THEN 'unlogged' ELSE '' END AS cause,
    token_kind, tokens AS consumed_tokens, share + CASE WHEN place <= left_over THEN 1 ELSE 0 END AS effective_cost_nano,
    allocation_method, confidence
FROM (SELECT phase_no // 2 AS hour_no, key_no // 5 AS label_no, key_no % 5 AS kind_no, tokens, share, place, left_over FROM ranked)
JOIN deployment_hour USING (hour_no)
JOIN label USING (label_no)
JOIN kind USING (kind_no)
UNION ALL BY NAME
SELECT
    charge_period_start, 0 AS pool_no, 0 AS deployment_no, provider, model_no, caller_no, tier,
    'workload'::metering.cost_kind AS cost_kind, 'unplaced' AS cause,
    token_kind, tokens AS consumed_tokens, NULL::BIGINT AS effective_cost_nano, '' AS allocation_method,
    ''::metering.confidence AS confidence
FROM (
    SELECT usage.*, token_kind,
        CASE kind_no WHEN 0 THEN cache_read_tokens WHEN 1 THEN cache_write_tokens WHEN 2 THEN output_tokens
            WHEN 3 THEN reasoning_tokens ELSE uncached_input_tokens END AS tokens
    FROM metering.consumption_hourly AS usage CROSS JOIN kind
    WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP AND deployment_no = 0
        AND provider = 'self'
)
WHERE tokens > 0
UNION ALL BY NAME
SELECT
    charge_period_start, 0 AS pool_no, 0 AS deployment_no, provider, model_no, caller_no, tier,
    'external'::metering.cost_kind AS cost_kind, cause, token_kind, consumed_tokens, effective_cost_nano,
    CASE WHEN cause = '' THEN 'price/1' ELSE '' END AS allocation_method, confidence
FROM metering.external_usage_hourly
WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
UNION ALL BY NAME
SELECT
    charge_period_start, pool_no, deployment_no, 'self' AS provider, 0 AS model_no, 0 AS caller_no, '' AS tier,
    cost_kind, cause, ''::metering.token_kind AS token_kind, NULL::BIGINT AS consumed_tokens, nano AS effective_cost_nano,
    split_part(allocation_method, '+', 1) AS allocation_method,
    CASE cost_kind WHEN 'unmeasured' THEN 'assumed'::metering.confidence ELSE utilization_confidence END AS confidence
FROM (
    SELECT deployment_hour.*,
        unnest(['unmeasured', 'workload']::metering.cost_kind[]) AS cost_kind,
        unnest(['', unattributed_cause])                         AS cause,
        unnest([unmeasured_nano, unattributed_nano])             AS nano
    FROM deployment_hour
)
WHERE nano <> 0
UNION ALL BY NAME
SELECT
    charge_period_start, pool_no, deployment_no, 'self' AS provider, 0 AS model_no, 0 AS caller_no, '' AS tier,
    'idle'::metering.cost_kind AS cost_kind, idle.cause, ''::metering.token_kind AS token_kind, NULL::BIGINT AS consumed_tokens,
    idle.idle_nano AS effective_cost_nano,
    CASE WHEN idle.cause IN ('draining', 'loading', 'lost') THEN 'inventory/1' ELSE split_part(allocation_method, '+', 1) END
        AS allocation_method,
    CASE WHEN idle.cause IN ('draining', 'loading', 'lost') THEN 'assumed'::metering.confidence ELSE utilization_confidence END
        AS confidence
FROM metering.idle_hourly AS idle
JOIN deployment_hour USING (charge_period_start, pool_no, deployment_no)
UNION ALL BY NAME
SELECT
    charge_period_start, 0 AS pool_no, 0 AS deployment_no, '' AS provider, 0 AS model_no, 0 AS caller_no, '' AS tier,
    'overhead'::metering.cost_kind AS cost_kind, component AS cause, ''::metering.token_kind AS token_kind,
    NULL::BIGINT AS consumed_tokens, effective_cost_nano, 'month_hours/1' AS allocation_method,
    'assumed'::metering.confidence AS confidence
FROM metering.origin_charge_hourly
WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
    AND pool_no = 0 AND effective_cost_nano <> 0
UNION ALL BY NAME
SELECT
    charge_period_start, pool_no, 0 AS deployment_no, 'self' AS provider, 0 AS model_no, 0 AS caller_no, '' AS tier,
    'idle'::metering.cost_kind AS cost_kind, cause, ''::metering.token_kind AS token_kind, NULL::BIGINT AS consumed_tokens,
    SUM(effective_cost_nano)::BIGINT AS effective_cost_nano, 'inventory/1' AS allocation_method,
    'measured'::metering.confidence AS confidence
FROM metering.origin_charge_hourly
WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
    AND cause <> '' AND effective_cost_nano <> 0
GROUP BY charge_period_start, pool_no, cause
