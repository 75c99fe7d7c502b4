-- audit:  every_token_is_on_a_line
-- reads:  metering.placed_usage_hourly, metering.reconciliation_hourly, metering.charge_hourly
-- params: period_start, period_end
-- why:    shares, idle, unplaced and unlogged usage together neither lose nor double a token, priced or not, whichever deployment
--         its phase belongs to
WITH used AS (
    SELECT
        charge_period_start, uncached_input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens
    FROM metering.placed_usage_hourly
    WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
    UNION ALL
    SELECT charge_period_start, unlogged_uncached_input_tokens, unlogged_cache_read_tokens, 0, unlogged_output_tokens, 0
    FROM metering.reconciliation_hourly
    WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
),
summed AS (
    SELECT
        charge_period_start,
        SUM(uncached_input_tokens) AS uncached_input_tokens, SUM(cache_read_tokens) AS cache_read_tokens,
        SUM(cache_write_tokens) AS cache_write_tokens, SUM(output_tokens) AS output_tokens,
        SUM(reasoning_tokens) AS reasoning_tokens
    FROM used
    GROUP BY charge_period_start
),
charged AS (
    SELECT charge_period_start, token_kind, SUM(consumed_tokens) AS charged_tokens
    FROM metering.charge_hourly
    WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
        AND consumed_tokens IS NOT NULL
    GROUP BY charge_period_start, token_kind
),
used_kind AS (
    SELECT
        charge_period_start,
        unnest(['uncached_input', 'cache_read', 'cache_write', 'output', 'reasoning']::metering.token_kind[]) AS token_kind,
        unnest([uncached_input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens]) AS used_tokens
    FROM summed
)
SELECT
    charge_period_start, token_kind,
    COALESCE(used_tokens, 0)    AS used_tokens,
    COALESCE(charged_tokens, 0) AS charged_tokens
FROM used_kind
FULL JOIN charged USING (charge_period_start, token_kind)  -- NULL: nothing on that side
WHERE COALESCE(used_tokens, 0) <> COALESCE(charged_tokens, 0)
