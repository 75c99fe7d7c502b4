-- step:   metering.placed_usage_hourly
-- grain:  charge_period_start, deployment_no, provider, model_no, caller_no, tier
-- reads:  metering.usage_hourly, raw.series, raw.caller, book.model, book.model_alias, book.deployment, book.deployment_key, book.deployment_model
-- params: period_start, period_end
-- why:    where usage ran depends on its series and on what is in force, so it is settled once per series and era, not per row
WITH boundary AS (
    SELECT unnest([effective_from, effective_to]) AS changed_at FROM book.deployment
    UNION
    SELECT unnest([effective_from, effective_to]) FROM book.deployment_model
    UNION
    SELECT unnest([effective_from, effective_to]) FROM book.model_alias
),
era AS (  -- hours from which on other rows may be in force: the hour a change falls into, and the one after
    SELECT $period_start::TIMESTAMP AS era_start
    UNION
    SELECT date_trunc('hour', changed_at) + INTERVAL 1 HOUR * unnest([0, 1])
    FROM boundary
    WHERE changed_at >= $period_start::TIMESTAMP AND changed_at < $period_end::TIMESTAMP
),
charge_hour AS (
    SELECT charge_period_start, MAX(era_start) AS era_start
    FROM (SELECT unnest(range($period_start::TIMESTAMP, $period_end::TIMESTAMP, INTERVAL 1 HOUR)) AS charge_period_start)
    JOIN era ON era_start <= charge_period_start
    GROUP BY charge_period_start
),
seen AS (
    SELECT DISTINCT series_no FROM metering.usage_hourly
    WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
),
resolved AS (
    SELECT
        era.era_start, series.series_no, series.provider, series.caller_no, series.tier, series.cluster, series.deployment,
        series.replica, caller.namespace, COALESCE(MIN(alias.model_no), MIN(series.model_no)) AS model_no
    FROM seen
    JOIN raw.series AS series USING (series_no)
    JOIN raw.caller AS caller USING (caller_no)
    JOIN book.model AS model USING (model_no)
    CROSS JOIN era
    LEFT JOIN book.model_alias AS alias  -- NULL: the name stands for itself
        ON alias.alias = model.model_id AND alias.effective_from <= era.era_start AND alias.effective_to > era.era_start
    GROUP BY ALL
),
in_force AS (
    SELECT era.era_start, key.deployment_id, deployment.*
    FROM era
    JOIN book.deployment AS deployment
        ON deployment.effective_from < era.era_start + INTERVAL 1 HOUR AND deployment.effective_to > era.era_start
    JOIN book.deployment_key AS key USING (deployment_no)
),
candidate AS (
    SELECT resolved.era_start, resolved.series_no, in_force.deployment_no, 'named' AS rung
    FROM resolved
    JOIN in_force ON in_force.era_start = resolved.era_start AND in_force.deployment_id = resolved.deployment
    WHERE resolved.provider = 'self'
    UNION ALL
    SELECT
        resolved.era_start, resolved.series_no, in_force.deployment_no,
        CASE WHEN COALESCE(match_cluster, match_replica, match_namespace) IS NOT NULL
            AND COALESCE(resolved.cluster LIKE match_cluster ESCAPE '\', TRUE)
            AND COALESCE(resolved.replica LIKE match_replica ESCAPE '\', TRUE)
            AND COALESCE(resolved.namespace LIKE match_namespace ESCAPE '\', TRUE) THEN 'matched' ELSE 'serving' END AS rung
    FROM resolved
    JOIN book.deployment_model AS served
        ON served.model_no = resolved.model_no
        AND served.effective_from < resolved.era_start + INTERVAL 1 HOUR AND served.effective_to > resolved.era_start
    JOIN in_force ON in_force.era_start = resolved.era_start AND in_force.deployment_no = served.deployment_no
    WHERE resolved.provider = 'self'
),
choice AS (
    SELECT
        era_start, series_no,
        MIN(deployment_no) FILTER (rung = 'named')   AS named_no,
        MIN(deployment_no) FILTER (rung = 'matched') AS matched_no, MAX(deployment_no) FILTER (rung = 'matched') AS matched_last_no,
        MIN(deployment_no) FILTER (rung <> 'named')  AS serving_no, MAX(deployment_no) FILTER (rung <> 'named')  AS serving_last_no
    FROM candidate
    GROUP BY era_start, series_no
),
place AS (
    SELECT
        resolved.era_start, resolved.series_no, resolved.provider, resolved.model_no, resolved.caller_no, resolved.tier,
        COALESCE(named_no, CASE WHEN matched_no = matched_last_no THEN matched_no END,
                 CASE WHEN serving_no = serving_last_no THEN serving_no END, 0) AS deployment_no
    FROM resolved
    LEFT JOIN choice USING (era_start, series_no)  -- NULL: no deployment takes it
),
home AS (
    SELECT era_start, deployment_no, arg_min(pool_no, effective_from) AS pool_no
    FROM in_force
    GROUP BY era_start, deployment_no
),
target AS (
    SELECT
        place.*, COALESCE(home.pool_no, 0) AS pool_no,
        DENSE_RANK() OVER (ORDER BY place.deployment_no, provider, model_no, caller_no, tier, COALESCE(home.pool_no, 0))::INTEGER AS target_no
    FROM place
    LEFT JOIN home USING (era_start, deployment_no)  -- NULL: unplaced or external
),
placed AS (
    SELECT
        usage.charge_period_start, target.target_no,
        SUM(usage.uncached_input_tokens)::BIGINT AS uncached_input_tokens,
        SUM(usage.cache_read_tokens)::BIGINT     AS cache_read_tokens,
        SUM(usage.cache_write_tokens)::BIGINT    AS cache_write_tokens,
        SUM(usage.output_tokens)::BIGINT         AS output_tokens,
        SUM(usage.reasoning_tokens)::BIGINT      AS reasoning_tokens,
        SUM(usage.requests)::BIGINT              AS requests
    FROM metering.usage_hourly AS usage  -- LEFT, though nothing is missing: a row without a place stops at NOT NULL instead of getting lost
    LEFT JOIN charge_hour USING (charge_period_start)
    LEFT JOIN target ON target.era_start = charge_hour.era_start AND target.series_no = usage.series_no
    WHERE usage.charge_period_start >= $period_start::TIMESTAMP AND usage.charge_period_start < $period_end::TIMESTAMP
    GROUP BY usage.charge_period_start, target.target_no
),
label AS (
    SELECT DISTINCT target_no, pool_no, deployment_no, provider, model_no, caller_no, tier FROM target
)
SELECT
    placed.charge_period_start, label.pool_no, label.deployment_no, label.provider, label.model_no, label.caller_no, label.tier,
    placed.uncached_input_tokens, placed.cache_read_tokens, placed.cache_write_tokens,
    placed.output_tokens, placed.reasoning_tokens, placed.requests
FROM placed
LEFT JOIN label USING (target_no)
