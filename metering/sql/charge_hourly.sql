-- step:   metering.charge_hourly
-- grain:  charge_period_start, pool_no, deployment_no, provider, model_no, caller_no, tier, cost_kind, cause, token_kind
-- reads:  metering.deployment_hourly, metering.placed_usage_hourly, metering.origin_charge_hourly, raw.caller, book.model, book.policy
-- params: period_start, period_end, policy_version
-- why:    every nano of an hour on exactly one line, and every token too
WITH deployment_hour AS (
    SELECT *, ROW_NUMBER() OVER (ORDER BY charge_period_start, pool_no, deployment_no)::INTEGER AS hour_no
    FROM metering.deployment_hourly
    WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
),
usage AS (
    SELECT * FROM metering.placed_usage_hourly
    WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
),
model_rank AS (
    SELECT model_no, ROW_NUMBER() OVER (ORDER BY model_id) AS model_rank
    FROM (SELECT DISTINCT model_no FROM usage) JOIN book.model USING (model_no)
),
caller_rank AS (
    SELECT caller_no, ROW_NUMBER() OVER (ORDER BY caller) AS caller_rank
    FROM (SELECT DISTINCT caller_no FROM usage) JOIN raw.caller USING (caller_no)
),
tier_rank AS (
    SELECT tier, ROW_NUMBER() OVER (ORDER BY tier) AS tier_rank FROM (SELECT DISTINCT tier FROM usage)
),
line AS (
    SELECT
        deployment_hour.hour_no, usage.model_no, usage.caller_no, tier_rank.tier_rank,
        ((model_rank * 1000000000 + caller_rank) * 10000 + tier_rank) * 5 AS key_rank,
        uncached_input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens
    FROM usage
    JOIN deployment_hour USING (charge_period_start, pool_no, deployment_no)
    JOIN model_rank USING (model_no) JOIN caller_rank USING (caller_no) JOIN tier_rank USING (tier)
    WHERE usage.deployment_no > 0
),
phase AS (
    SELECT hour_no * 2 AS phase_no, prefill_nano AS cost, prefill_weight AS whole FROM deployment_hour
    UNION ALL
    SELECT hour_no * 2 + 1, decode_nano, decode_weight FROM deployment_hour
),
token AS (  -- kinds numbered in the order of their names, which is the order of ties
    SELECT hour_no, hour_no * 2 AS phase_no, model_no, caller_no, tier_rank, key_rank + 0 AS key_rank, 0::TINYINT AS kind_no, cache_read_tokens AS tokens, cache_read_weight AS weight
    FROM line, policy WHERE cache_read_tokens > 0
    UNION ALL ...
)
SELECT 1
