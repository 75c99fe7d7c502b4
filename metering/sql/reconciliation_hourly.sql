-- step:   metering.reconciliation_hourly
-- grain:  charge_period_start, pool_no, deployment_no
-- reads:  metering.engine_usage_hourly, metering.placed_usage_hourly, metering.prefill_place_hourly, metering.series_place,
--         metering.observed_event, raw.usage_event, raw.series, book.deployment, book.policy
-- params: period_start, period_end, policy_version
-- why:    tokens that engines counted and no log explains are somebody's work; a request that crosses an hour must not look lost, so
--         its output is spread over its time, and may as well have been counted as it ended, its prompt in any hour it ran in; what was
--         counted between readings on either side of an hour proves no loss in either; engines that decode say nothing of prompts
--         that others read, those that read nothing of output
WITH role AS (  -- of several dated rows in an hour the first says it
    SELECT
        hour_told.charge_period_start, deployment.deployment_no, arg_min(deployment.role, deployment.effective_from) AS role,
        SUM(epoch_us(LEAST(deployment.effective_to, hour_told.charge_period_start + INTERVAL 1 HOUR))
            - epoch_us(GREATEST(deployment.effective_from, hour_told.charge_period_start)))::BIGINT AS in_force_us
    FROM (
        SELECT DISTINCT charge_period_start, deployment_no
        FROM metering.engine_usage_hourly
        WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
    ) AS hour_told
    JOIN book.deployment AS deployment
        ON deployment.deployment_no = hour_told.deployment_no
        AND deployment.effective_from < hour_told.charge_period_start + INTERVAL 1 HOUR
        AND deployment.effective_to > hour_told.charge_period_start
    GROUP BY hour_told.charge_period_start, deployment.deployment_no
),
counted AS (
    SELECT
        usage.charge_period_start, usage.pool_no, usage.deployment_no, usage.model_no, usage.engines, usage.observed_us,
        CASE WHEN role.role = 'decode' OR (role.role = 'prefill' AND reader.prefill_deployment_no IS NULL) THEN NULL
            ELSE usage.prompt_tokens END AS prompt_tokens,
        CASE WHEN role.role = 'decode' OR (role.role = 'prefill' AND reader.prefill_deployment_no IS NULL) THEN NULL
            ELSE usage.cache_read_tokens END AS cache_read_tokens,
        CASE WHEN role.role = 'prefill' THEN NULL ELSE usage.output_tokens END AS output_tokens,
        usage.requests, usage.aborted_requests, usage.cache_split_known, role.in_force_us, usage.border_prompt_tokens,
        usage.border_cache_read_tokens, usage.border_output_tokens, usage.beyond_prompt_tokens, usage.beyond_output_tokens
    FROM metering.engine_usage_hourly AS usage
    LEFT JOIN role USING (charge_period_start, deployment_no)  -- NULL: belongs to no deployment
    LEFT JOIN (
        SELECT DISTINCT charge_period_start, prefill_deployment_no FROM metering.prefill_place_hourly
    ) AS reader  -- NULL: prompts stay where the rest of their requests ran
        ON reader.charge_period_start = usage.charge_period_start AND reader.prefill_deployment_no = usage.deployment_no
    WHERE usage.charge_period_start >= $period_start::TIMESTAMP AND usage.charge_period_start < $period_end::TIMESTAMP
),
engine AS (
    SELECT
        charge_period_start, pool_no, deployment_no,
        CASE WHEN MIN(model_no) = MAX(model_no) THEN MIN(model_no) ELSE 0 END AS model_no,
        SUM(engines)::BIGINT AS engines, SUM(observed_us)::BIGINT AS observed_us, SUM(prompt_tokens)::BIGINT AS input_tokens,
        SUM(cache_read_tokens)::BIGINT AS cache_read_tokens, SUM(output_tokens)::BIGINT AS output_tokens,
        SUM(requests)::BIGINT AS requests, SUM(aborted_requests)::BIGINT AS aborted_requests,
        BOOL_AND(cache_split_known) AND COUNT(cache_read_tokens) > 0 AS cache_split_known, MAX(in_force_us) AS in_force_us,
        COALESCE(SUM(border_prompt_tokens) FILTER (prompt_tokens IS NOT NULL), 0)::BIGINT AS border_input_tokens,
        COALESCE(SUM(border_cache_read_tokens) FILTER (cache_read_tokens IS NOT NULL), 0)::BIGINT AS border_cache_read_tokens,
        COALESCE(SUM(border_output_tokens) FILTER (output_tokens IS NOT NULL), 0)::BIGINT AS border_output_tokens,
        COALESCE(SUM(beyond_prompt_tokens) FILTER (prompt_tokens IS NOT NULL), 0)::BIGINT AS beyond_input_tokens,
        COALESCE(SUM(beyond_output_tokens) FILTER (output_tokens IS NOT NULL), 0)::BIGINT AS beyond_output_tokens
    FROM counted
    GROUP BY charge_period_start, pool_no, deployment_no
),
logged AS (
    SELECT
        charge_period_start, pool_no, deployment_no, SUM(input_tokens)::BIGINT AS input_tokens,
        SUM(cache_read_tokens)::BIGINT AS cache_read_tokens, SUM(output_tokens)::BIGINT AS output_tokens, SUM(requests)::BIGINT AS requests
    FROM (
        SELECT
            charge_period_start, pool_no, deployment_no, model_no, 0 AS input_tokens, 0 AS cache_read_tokens,
            output_tokens + reasoning_tokens AS output_tokens, requests
        FROM metering.placed_usage_hourly
        UNION ALL
        SELECT
            charge_period_start, COALESCE(prefill.prefill_pool_no, pool_no), COALESCE(prefill.prefill_deployment_no, deployment_no),
            model_no, uncached_input_tokens + cache_read_tokens + cache_write_tokens, cache_read_tokens, 0, 0
        FROM metering.placed_usage_hourly
        LEFT JOIN metering.prefill_place_hourly AS prefill
            USING (charge_period_start, pool_no, deployment_no, model_no)  -- NULL: read where the rest ran
    )
    WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP AND deployment_no > 0
    GROUP BY charge_period_start, pool_no, deployment_no
),
known AS (
    SELECT DISTINCT pool_no, deployment_no FROM engine WHERE deployment_no > 0
    UNION
    SELECT DISTINCT prefill.pool_no, prefill.deployment_no
    FROM metering.prefill_place_hourly AS prefill
    JOIN engine ON engine.charge_period_start = prefill.charge_period_start AND engine.deployment_no = prefill.prefill_deployment_no
),
told AS (  -- only series that ran where engines are known are worth a look at their requests
    SELECT DISTINCT series_no, effective_from, effective_to, pool_no, deployment_no, model_no
    FROM metering.series_place
    JOIN known USING (pool_no, deployment_no)
),
crossing AS (
    SELECT
        series_no, epoch_us(occurred_at) AS ended_us, LEAST(duration_us, 86400000000) AS took_us,
        uncached_input_tokens + cache_read_tokens + cache_write_tokens AS input_tokens, output_tokens + reasoning_tokens AS output_tokens
    FROM raw.usage_event AS event
    ANTI JOIN metering.observed_event AS observed ON observed.event_row = event.rowid
    WHERE occurred_at >= $period_start::TIMESTAMP AND occurred_at < $period_end::TIMESTAMP + INTERVAL 24 HOUR
        AND duration_us > epoch_us(occurred_at) % 3600000000
        AND series_no IN (SELECT series_no FROM told)
),
crossing_hour AS (
    SELECT
        crossing.*, ended_us - took_us AS began_us,
        unnest(range(GREATEST((ended_us - took_us) // 3600000000, epoch_us($period_start::TIMESTAMP) // 3600000000),
                     LEAST(ended_us // 3600000000, epoch_us($period_end::TIMESTAMP) // 3600000000 - 1) + 1)) AS hour_no
    FROM crossing
),
share AS (
    SELECT
        make_timestamp(hour_no * 3600000000) AS charge_period_start, series_no, input_tokens, output_tokens,
        hour_no = ended_us // 3600000000 AS ends_here,
        output_tokens::HUGEINT * (LEAST((hour_no + 1) * 3600000000, ended_us) - began_us) // took_us
            - output_tokens::HUGEINT * GREATEST(hour_no * 3600000000 - began_us, 0) // took_us AS output_here
    FROM crossing_hour
),
ran AS (  -- output where it was made, prompts where they were read
    SELECT
        share.charge_period_start, told.pool_no, told.deployment_no, share.ends_here, 0 AS input_tokens, share.output_tokens,
        share.output_here
    FROM share
    JOIN told
        ON told.series_no = share.series_no
        AND told.effective_from <= share.charge_period_start AND told.effective_to > share.charge_period_start
    UNION ALL
    SELECT
        share.charge_period_start, COALESCE(prefill.prefill_pool_no, told.pool_no),
        COALESCE(prefill.prefill_deployment_no, told.deployment_no), share.ends_here, share.input_tokens, 0, 0
    FROM share
    JOIN told
        ON told.series_no = share.series_no
        AND told.effective_from <= share.charge_period_start AND told.effective_to > share.charge_period_start
    LEFT JOIN metering.prefill_place_hourly AS prefill  -- NULL: read where the rest ran
        ON prefill.charge_period_start = share.charge_period_start AND prefill.pool_no = told.pool_no
        AND prefill.deployment_no = told.deployment_no AND prefill.model_no = told.model_no
),
moved AS (
    SELECT
        charge_period_start, pool_no, deployment_no,
        SUM(output_here - CASE WHEN ends_here THEN output_tokens ELSE 0 END)::BIGINT AS output_tokens,
        SUM(CASE WHEN ends_here THEN output_tokens - output_here ELSE 0 END)::BIGINT AS output_tokens_begun,
        SUM(CASE WHEN ends_here THEN 0 ELSE output_here END)::BIGINT                 AS output_tokens_later,
        SUM(CASE WHEN ends_here THEN 0 ELSE input_tokens END)::BIGINT                AS input_tokens_later,
        SUM(CASE WHEN ends_here THEN input_tokens ELSE 0 END)::BIGINT                AS input_tokens_begun
    FROM ran
    GROUP BY charge_period_start, pool_no, deployment_no
),
doubted AS (
    SELECT
        date_trunc('hour', event.occurred_at) AS charge_period_start, told.pool_no, told.deployment_no,
        COUNT(*) FILTER (series.usage_quality IN ('missing', 'partial')) AS missing_events,
        COUNT(*) FILTER (series.status <> 'success') AS failed_events
    FROM raw.usage_event AS event
    JOIN told
        ON told.series_no = event.series_no AND told.effective_from <= event.occurred_at AND told.effective_to > event.occurred_at
    JOIN raw.series AS series ON series.series_no = told.series_no
    ANTI JOIN metering.observed_event AS observed ON observed.event_row = event.rowid
    WHERE event.occurred_at >= $period_start::TIMESTAMP AND event.occurred_at < $period_end::TIMESTAMP
        AND (series.usage_quality IN ('missing', 'partial') OR series.status <> 'success')
    GROUP BY 1, 2, 3
),
side AS (
    SELECT
        charge_period_start, pool_no, deployment_no, engine.model_no, engine.engines, engine.observed_us, engine.in_force_us,
        engine.input_tokens AS engine_input_tokens, engine.cache_read_tokens AS engine_cache_read_tokens,
        engine.output_tokens AS engine_output_tokens, engine.requests AS engine_requests,
        engine.aborted_requests AS engine_aborted_requests, engine.cache_split_known,
        COALESCE(logged.input_tokens, 0) AS logged_input_tokens, COALESCE(logged.cache_read_tokens, 0) AS logged_cache_read_tokens,
        COALESCE(logged.output_tokens, 0) + COALESCE(moved.output_tokens, 0) AS logged_output_tokens,
        COALESCE(logged.requests, 0) AS logged_requests, COALESCE(moved.input_tokens_later, 0) AS crossing_input_tokens,
        COALESCE(moved.output_tokens_begun, 0) AS crossing_output_tokens, COALESCE(moved.input_tokens_begun, 0) AS begun_input_tokens,
        COALESCE(moved.output_tokens_later, 0) AS later_output_tokens, logged.requests IS NULL AND moved.output_tokens IS NULL AS is_silent,
        engine.border_input_tokens, engine.border_cache_read_tokens, engine.border_output_tokens, engine.beyond_input_tokens,
        engine.beyond_output_tokens, COALESCE(doubted.missing_events, 0) AS missing_events, COALESCE(doubted.failed_events, 0) AS failed_events,
        policy.unlogged_tolerance_ppm::HUGEINT AS tolerance_ppm
    FROM engine
    LEFT JOIN logged USING (charge_period_start, pool_no, deployment_no)    -- NULL: no request ended in the hour
    LEFT JOIN moved USING (charge_period_start, pool_no, deployment_no)     -- NULL: no request crosses the hour
    LEFT JOIN doubted USING (charge_period_start, pool_no, deployment_no)   -- NULL: every request told its usage
    JOIN book.policy AS policy ON policy.policy_version = $policy_version::INTEGER
),
excess AS (  -- NULL where the engines do not tell
    SELECT
        side.*, engine_input_tokens * tolerance_ppm AS input_tolerance, engine_output_tokens * tolerance_ppm AS output_tolerance,
        border_input_tokens::HUGEINT * 1000000 AS input_border, border_output_tokens::HUGEINT * 1000000 AS output_border,
        border_cache_read_tokens::HUGEINT * 1000000 AS cache_read_border,
        beyond_input_tokens::HUGEINT * 1000000 AS input_beyond, beyond_output_tokens::HUGEINT * 1000000 AS output_beyond,
        (engine_input_tokens::HUGEINT - logged_input_tokens) * 1000000             AS input_ahead,
        crossing_input_tokens::HUGEINT * 1000000                                   AS input_crossing,
        begun_input_tokens::HUGEINT * 1000000                                      AS input_begun,
        (engine_output_tokens::HUGEINT - logged_output_tokens) * 1000000           AS output_ahead,
        crossing_output_tokens::HUGEINT * 1000000                                  AS output_crossing,
        later_output_tokens::HUGEINT * 1000000                                     AS output_later,
        (engine_cache_read_tokens::HUGEINT - logged_cache_read_tokens) * 1000000   AS cache_read_ahead
    FROM side
),
unlogged AS (
    SELECT
        excess.*,
        CASE WHEN deployment_no > 0 AND input_ahead - input_crossing - input_border > input_tolerance
            THEN engine_input_tokens - logged_input_tokens - crossing_input_tokens ELSE 0 END::BIGINT AS unlogged_input_tokens,
        CASE WHEN deployment_no > 0 AND output_ahead - output_crossing - output_border > output_tolerance
            THEN engine_output_tokens - logged_output_tokens - crossing_output_tokens ELSE 0 END::BIGINT AS unlogged_output_tokens,
        CASE WHEN cache_split_known AND cache_read_ahead - cache_read_border > engine_cache_read_tokens * tolerance_ppm
            THEN engine_cache_read_tokens - logged_cache_read_tokens ELSE 0 END::BIGINT AS cache_read_tokens
    FROM excess
)
SELECT
    charge_period_start, pool_no, deployment_no, model_no, engines, observed_us, engine_input_tokens, engine_cache_read_tokens,
    engine_output_tokens, engine_requests, engine_aborted_requests, logged_input_tokens, logged_cache_read_tokens,
    logged_output_tokens, logged_requests, crossing_input_tokens, crossing_output_tokens,
    unlogged_input_tokens - LEAST(cache_read_tokens, unlogged_input_tokens) AS unlogged_uncached_input_tokens,
    LEAST(cache_read_tokens, unlogged_input_tokens)                         AS unlogged_cache_read_tokens,
    unlogged_output_tokens,
    CASE
        WHEN deployment_no = 0 THEN 'unplaced'
        WHEN engine_input_tokens IS NULL AND engine_output_tokens IS NULL THEN 'no_telemetry'
        WHEN unlogged_input_tokens + unlogged_output_tokens > 0 THEN CASE
            WHEN is_silent THEN 'no_logs'
            WHEN missing_events > 0 THEN 'missing_usage'
            WHEN engine_aborted_requests > 0 THEN 'aborted'
            WHEN failed_events > 0 THEN 'failed'
            ELSE 'unlogged' END
        WHEN -input_ahead - input_begun - input_beyond > input_tolerance
            OR -output_ahead - output_later - output_beyond > output_tolerance
            THEN CASE WHEN observed_us < in_force_us THEN 'telemetry_gap' ELSE 'engine_behind' END
        WHEN ABS(input_ahead) > input_tolerance OR ABS(output_ahead) > output_tolerance THEN 'crossing'
        ELSE 'agreed' END AS cause,
    border_input_tokens, border_output_tokens
FROM unlogged
