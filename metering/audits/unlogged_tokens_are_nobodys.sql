-- audit:  unlogged_tokens_are_nobodys
-- reads:  metering.reconciliation_hourly, metering.charge_hourly
-- params: period_start, period_end
-- why:    what engines did and no log explains is on lines of nobody with that cause, deployment for deployment, and nothing else is
WITH unlogged AS (
    SELECT
        charge_period_start, pool_no, deployment_no, model_no,
        unnest(['uncached_input', 'cache_read', 'output']::metering.token_kind[]) AS token_kind,
        unnest([unlogged_uncached_input_tokens, unlogged_cache_read_tokens, unlogged_output_tokens]) AS unlogged_tokens
    FROM metering.reconciliation_hourly
    WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
),
charged AS (
    SELECT charge_period_start, pool_no, deployment_no, model_no, token_kind, SUM(consumed_tokens) AS charged_tokens
    FROM metering.charge_hourly
    WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
        AND (cause = 'unlogged' OR (caller_no = 0 AND consumed_tokens IS NOT NULL))
    GROUP BY charge_period_start, pool_no, deployment_no, model_no, token_kind
)
SELECT
    charge_period_start, pool_no, deployment_no, token_kind,
    COALESCE(unlogged_tokens, 0) AS unlogged_tokens,
    COALESCE(charged_tokens, 0)  AS charged_tokens
FROM unlogged
FULL JOIN charged USING (charge_period_start, pool_no, deployment_no, model_no, token_kind)  -- NULL: nothing on that side
WHERE COALESCE(unlogged_tokens, 0) <> COALESCE(charged_tokens, 0)
