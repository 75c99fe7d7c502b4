-- step:   metering.series_place
-- grain:  series_no, effective_from
-- reads:  raw.usage_event, raw.series, raw.caller, book.model, book.model_alias, book.deployment, book.deployment_key,
--         metering.served_model, metering.engine_usage_hourly
-- params: period_start, period_end
-- why:    where usage ran depends on its series and on what is in force: settled once for each of both, not for every event
WITH era_hour AS (  -- hours from which on other rows may be in force: the one a change falls into, and the one after
    SELECT $period_start::TIMESTAMP AS era_start
    UNION
    SELECT date_trunc('hour', changed_at) + INTERVAL 1 HOUR * unnest([0, 1])
    FROM (
        SELECT unnest([effective_from, effective_to]) AS changed_at FROM book.deployment
        UNION ALL
        SELECT unnest([effective_from, effective_to]) FROM metering.served_model
        UNION ALL
        SELECT unnest([effective_from, effective_to]) FROM book.model_alias
    )
    WHERE changed_at >= $period_start::TIMESTAMP AND changed_at < $period_end::TIMESTAMP
),
era AS (
    SELECT era_start, LAG(era_start) OVER (ORDER BY era_start) AS era_before FROM era_hour
),
meaning AS (
    SELECT era.era_start, era.era_before, model.model_no AS said_no, COALESCE(MIN(alias.model_no), model.model_no) AS model_no
    FROM era
    CROSS JOIN book.model AS model
    LEFT JOIN book.model_alias AS alias  -- NULL: the name stands for itself
        ON alias.alias = model.model_id AND alias.effective_from <= era.era_start AND alias.effective_to > era.era_start
    GROUP BY era.era_start, era.era_before, model.model_no
),
resolved AS (
    SELECT
        meaning.era_start, meaning.era_before, series.series_no, series.provider, meaning.model_no, series.caller_no, series.tier,
        series.cluster, series.deployment, series.replica, caller.namespace
    FROM (
        SELECT DISTINCT series_no
        FROM raw.usage_event
        WHERE occurred_at >= $period_start::TIMESTAMP AND occurred_at < $period_end::TIMESTAMP
        UNION  -- where engines are compared with the logs, what ended later but ran within the span has a place in it too
        SELECT series_no
        FROM raw.usage_event
        CROSS JOIN (
            SELECT 1 AS one
            FROM metering.engine_usage_hourly
            WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
            LIMIT 1
        ) AS told
        WHERE occurred_at >= $period_end::TIMESTAMP AND occurred_at < $period_end::TIMESTAMP + INTERVAL 24 HOUR
            AND duration_us > epoch_us(occurred_at) - epoch_us($period_end::TIMESTAMP)
    ) AS seen
    JOIN raw.series AS series USING (series_no)
    JOIN raw.caller AS caller USING (caller_no)
    JOIN meaning ON meaning.said_no = series.model_no
),
in_force AS (  -- in one number a deployment and its pool, of several in an hour the one that the hour begins with, as of roles
    SELECT
        era.era_start, key.deployment_id, deployment.*, deployment_no * 4294967296
            + FIRST_VALUE(pool_no) OVER (PARTITION BY era_start, deployment_no ORDER BY effective_from) AS site,
        FIRST_VALUE(role) OVER (PARTITION BY era_start, deployment_no ORDER BY effective_from) AS role_then
    FROM era
    JOIN book.deployment AS deployment
        ON deployment.effective_from < era.era_start + INTERVAL 1 HOUR AND deployment.effective_to > era.era_start
    JOIN book.deployment_key AS key USING (deployment_no)
),
candidate AS (  -- a pattern that is NULL asks nothing
    SELECT resolved.era_start, resolved.series_no, in_force.site, 1 AS rung
    FROM resolved
    JOIN in_force ON in_force.era_start = resolved.era_start AND in_force.deployment_id = resolved.deployment
    WHERE resolved.provider = 'self'
    UNION ALL
    SELECT
        resolved.era_start, resolved.series_no, in_force.site,
        CASE WHEN COALESCE(match_cluster, match_replica, match_namespace) IS NOT NULL
            AND COALESCE(resolved.cluster LIKE match_cluster ESCAPE '\', TRUE)
            AND COALESCE(resolved.replica LIKE match_replica ESCAPE '\', TRUE)
            AND COALESCE(resolved.namespace LIKE match_namespace ESCAPE '\', TRUE) THEN 2 ELSE 3 END AS rung
    FROM resolved
    JOIN metering.served_model AS served
        ON served.model_no = resolved.model_no
        AND served.effective_from < resolved.era_start + INTERVAL 1 HOUR AND served.effective_to > resolved.era_start
    JOIN in_force ON in_force.era_start = resolved.era_start AND in_force.deployment_no = served.deployment_no
    WHERE resolved.provider = 'self' AND in_force.role_then <> 'prefill'  -- which reads prompts of requests that run elsewhere
),
choice AS (
    SELECT
        era_start, series_no,
        MIN(site) FILTER (rung = 1) AS named,
        MIN(site) FILTER (rung = 2) AS matched, MAX(site) FILTER (rung = 2) AS matched_last,
        MIN(site) FILTER (rung > 1) AS serving, MAX(site) FILTER (rung > 1) AS serving_last
    FROM candidate
    GROUP BY era_start, series_no
),
place AS (
    SELECT
        resolved.era_start, resolved.era_before, resolved.series_no,
        resolved.provider, resolved.model_no, resolved.caller_no, resolved.tier,
        COALESCE(named, CASE WHEN matched = matched_last THEN matched END, CASE WHEN serving = serving_last THEN serving END, 0) AS site
    FROM resolved
    LEFT JOIN choice USING (era_start, series_no)  -- NULL: nothing can take it
),
label AS (
    SELECT
        site, model_no, caller_no, provider, tier,
        ROW_NUMBER() OVER (ORDER BY site, model_no, caller_no, provider, tier)::INTEGER AS place_no
    FROM (SELECT DISTINCT site, model_no, caller_no, provider, tier FROM place)
),
turn AS (  -- an era that changes nothing for a series is no row of its own
    SELECT place.series_no, place.era_start, label.*
    FROM place
    JOIN label USING (site, model_no, caller_no, provider, tier)
    LEFT JOIN place AS before  -- NULL: the window begins
        ON before.series_no = place.series_no AND before.era_start = place.era_before
    WHERE before.site IS DISTINCT FROM place.site OR before.model_no IS DISTINCT FROM place.model_no
)
SELECT
    series_no, era_start AS effective_from,
    LEAD(era_start, 1, $period_end::TIMESTAMP) OVER (PARTITION BY series_no ORDER BY era_start) AS effective_to,
    place_no, (site % 4294967296)::INTEGER AS pool_no, (site // 4294967296)::INTEGER AS deployment_no,
    provider, model_no, caller_no, tier
FROM turn
