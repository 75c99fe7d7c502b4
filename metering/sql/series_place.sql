-- step:   metering.series_place
-- grain:  series_no, effective_from
-- reads:  raw.usage_event, raw.series, raw.caller, book.model, book.model_alias, book.deployment, book.deployment_key,
--         book.deployment_model
-- params: period_start, period_end
-- why:    where usage ran depends on its series and on what is in force: settled once for each of both, not for every event
WITH boundary AS (
    SELECT unnest([effective_from, effective_to]) AS changed_at FROM book.deployment
    UNION
    SELECT unnest([effective_from, effective_to]) FROM book.deployment_model
    UNION
    SELECT unnest([effective_from, effective_to]) FROM book.model_alias
),
era AS (  -- hours from which on other rows may be in force: the one a change falls into, and the one after
    SELECT $period_start::TIMESTAMP AS era_start
    UNION
    SELECT date_trunc('hour', changed_at) + INTERVAL 1 HOUR * unnest([0, 1])
    FROM boundary
    WHERE changed_at >= $period_start::TIMESTAMP AND changed_at < $period_end::TIMESTAMP
),
seen AS (
    SELECT DISTINCT series_no
    FROM raw.usage_event
    WHERE occurred_at >= $period_start::TIMESTAMP AND occurred_at < $period_end::TIMESTAMP
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
in_force AS (  -- a deployment that changes pool within an hour is in the pool that the hour begins with
    SELECT
        era.era_start, key.deployment_id, deployment.*,
        FIRST_VALUE(pool_no) OVER (PARTITION BY era_start, deployment_no ORDER BY effective_from) AS home_no
    FROM era
    JOIN book.deployment AS deployment
        ON deployment.effective_from < era.era_start + INTERVAL 1 HOUR AND deployment.effective_to > era.era_start
    JOIN book.deployment_key AS key USING (deployment_no)
),
candidate AS (  -- a pattern that is NULL asks nothing
    SELECT resolved.era_start, resolved.series_no, in_force.deployment_no, 1 AS rung
    FROM resolved
    JOIN in_force ON in_force.era_start = resolved.era_start AND in_force.deployment_id = resolved.deployment
    WHERE resolved.provider = 'self'
    UNION ALL
    SELECT
        resolved.era_start, resolved.series_no, in_force.deployment_no,
        CASE WHEN COALESCE(match_cluster, match_replica, match_namespace) IS NOT NULL
            AND COALESCE(resolved.cluster LIKE match_cluster ESCAPE '\', TRUE)
            AND COALESCE(resolved.replica LIKE match_replica ESCAPE '\', TRUE)
            AND COALESCE(resolved.namespace LIKE match_namespace ESCAPE '\', TRUE) THEN 2 ELSE 3 END AS rung
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
        COALESCE(
            MIN(deployment_no) FILTER (rung = 1),
            CASE WHEN COUNT(DISTINCT deployment_no) FILTER (rung = 2) = 1 THEN MIN(deployment_no) FILTER (rung = 2) END,
            CASE WHEN COUNT(DISTINCT deployment_no) FILTER (rung > 1) = 1 THEN MIN(deployment_no) FILTER (rung > 1) END
        ) AS deployment_no
    FROM candidate
    GROUP BY era_start, series_no
),
place AS (
    SELECT DISTINCT
        resolved.era_start, resolved.series_no, resolved.provider, resolved.model_no, resolved.caller_no, resolved.tier,
        COALESCE(choice.deployment_no, 0) AS deployment_no, COALESCE(in_force.home_no, 0) AS pool_no
    FROM resolved
    LEFT JOIN choice USING (era_start, series_no)                          -- NULL: nothing takes it
    LEFT JOIN in_force ON in_force.era_start = choice.era_start AND in_force.deployment_no = choice.deployment_no
),
numbered AS (
    SELECT place.*, DENSE_RANK() OVER (ORDER BY deployment_no, pool_no, provider, model_no, caller_no, tier)::INTEGER AS place_no
    FROM place
),
turn AS (  -- an era that changes nothing for a series is no row of its own
    SELECT numbered.*, LAG(place_no) OVER (PARTITION BY series_no ORDER BY era_start) AS before_no
    FROM numbered
)
SELECT
    series_no, era_start AS effective_from,
    LEAD(era_start, 1, $period_end::TIMESTAMP) OVER (PARTITION BY series_no ORDER BY era_start) AS effective_to,
    place_no, pool_no, deployment_no, provider, model_no, caller_no, tier
FROM turn
WHERE before_no IS DISTINCT FROM place_no
