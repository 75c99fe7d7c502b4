-- step:   metering.engine_place_hourly
-- grain:  charge_period_start, engine_series_no
-- reads:  raw.engine_sample, raw.engine_series, raw.engine, book.model, book.model_alias, book.deployment, book.deployment_key,
--         metering.served_model
-- params: period_start, period_end
-- why:    where an engine belongs depends on its series and on what is in force in the hour: settled once, for its counters and its
--         gauges; asked for every hour that a reading of the series may tell of
WITH seen AS (
    SELECT
        heard.charge_period_start, engine_series_no,
        series.cluster, series.node, series.deployment, series.namespace, series.pod, series.replica, engine.model_no AS said_no
    FROM (
        SELECT
            engine_series_no,
            unnest(range(
                GREATEST($period_start::TIMESTAMP, date_trunc('hour', MIN(sampled_at)) - INTERVAL 25 HOUR),
                LEAST($period_end::TIMESTAMP, date_trunc('hour', MAX(sampled_at)) + INTERVAL 2 HOUR), INTERVAL 1 HOUR)) AS charge_period_start
        FROM raw.engine_sample
        WHERE sampled_at > $period_start::TIMESTAMP - INTERVAL 24 HOUR AND sampled_at < $period_end::TIMESTAMP + INTERVAL 24 HOUR
        GROUP BY engine_series_no
    ) AS heard
    JOIN raw.engine_series AS series USING (engine_series_no)
    JOIN raw.engine AS engine ON engine.engine_no = series.engine_no
),
meaning AS (
    SELECT hour_said.charge_period_start, hour_said.said_no, COALESCE(MIN(alias.model_no), hour_said.said_no) AS model_no
    FROM (SELECT DISTINCT charge_period_start, said_no FROM seen) AS hour_said
    JOIN book.model AS model ON model.model_no = hour_said.said_no
    LEFT JOIN book.model_alias AS alias  -- NULL: the name stands for itself
        ON alias.alias = model.model_id AND alias.effective_from <= hour_said.charge_period_start
        AND alias.effective_to > hour_said.charge_period_start
    GROUP BY hour_said.charge_period_start, hour_said.said_no
),
in_force AS (  -- in one number a deployment and its pool, of several in an hour the one that the hour begins with
    SELECT
        charge_hour.charge_period_start, key.deployment_id, deployment.*, deployment_no * 4294967296
            + FIRST_VALUE(pool_no) OVER (PARTITION BY charge_period_start, deployment_no ORDER BY effective_from) AS site
    FROM (SELECT DISTINCT charge_period_start FROM seen) AS charge_hour
    JOIN book.deployment AS deployment
        ON deployment.effective_from < charge_hour.charge_period_start + INTERVAL 1 HOUR
        AND deployment.effective_to > charge_hour.charge_period_start
    JOIN book.deployment_key AS key USING (deployment_no)
),
candidate AS (  -- a pattern that is NULL asks nothing
    SELECT
        seen.charge_period_start, seen.engine_series_no, meaning.model_no, in_force.site,
        in_force.deployment_id = seen.deployment AS is_named,
        COALESCE(match_cluster, match_node, match_namespace, match_pod, match_replica) IS NOT NULL
            AND COALESCE(seen.cluster LIKE match_cluster ESCAPE '\', TRUE)
            AND COALESCE(seen.node LIKE match_node ESCAPE '\', TRUE)
            AND COALESCE(seen.namespace LIKE match_namespace ESCAPE '\', TRUE)
            AND COALESCE(seen.pod LIKE match_pod ESCAPE '\', TRUE)
            AND COALESCE(seen.replica LIKE match_replica ESCAPE '\', TRUE) AS is_matched,
        served.model_no IS NOT NULL AS is_serving
    FROM seen
    JOIN meaning USING (charge_period_start, said_no)
    LEFT JOIN in_force USING (charge_period_start)  -- NULL: nothing is deployed
    LEFT JOIN metering.served_model AS served        -- NULL: serves another model
        ON served.deployment_no = in_force.deployment_no AND served.model_no = meaning.model_no
        AND served.effective_from < seen.charge_period_start + INTERVAL 1 HOUR AND served.effective_to > seen.charge_period_start
),
choice AS (
    SELECT
        charge_period_start, engine_series_no, model_no, MIN(site) FILTER (is_named) AS named,
        MIN(site) FILTER (is_matched) AS matched, MAX(site) FILTER (is_matched) AS matched_last,
        MIN(site) FILTER (is_matched AND is_serving) AS fitting, MAX(site) FILTER (is_matched AND is_serving) AS fitting_last,
        MIN(site) FILTER (is_serving) AS serving, MAX(site) FILTER (is_serving) AS serving_last
    FROM candidate
    GROUP BY charge_period_start, engine_series_no, model_no
),
place AS (
    SELECT
        charge_period_start, engine_series_no, model_no,
        COALESCE(named, CASE WHEN matched = matched_last THEN matched END, CASE WHEN fitting = fitting_last THEN fitting END,
                 CASE WHEN serving = serving_last THEN serving END, 0) AS site
    FROM choice
)
SELECT
    charge_period_start, engine_series_no, (site % 4294967296)::INTEGER AS pool_no, (site // 4294967296)::INTEGER AS deployment_no, model_no
FROM place
