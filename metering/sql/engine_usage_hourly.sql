-- step:   metering.engine_usage_hourly
-- grain:  charge_period_start, pool_no, deployment_no, model_no
-- reads:  raw.engine_sample, metering.engine_place_hourly
-- params: period_start, period_end, sample_hold_us
-- why:    counters mean something only as differences of one engine, which end where it began again and are spread over the time
--         between readings, so that hours add up to the whole; silence of more than a day stays unknown; of what grew between readings on
--         either side of an hour, no further apart than a sample holds, nobody knows in which of the two it was
WITH margin AS (  -- of the day before and the day after only the readings next to the span matter
    SELECT
        engine_no, FALSE AS is_after, MAX(sampled_at) FILTER (prompt_tokens IS NOT NULL) AS prompt_at,
        MAX(sampled_at) FILTER (cache_read_tokens IS NOT NULL) AS cache_read_at,
        MAX(sampled_at) FILTER (output_tokens IS NOT NULL) AS output_at,
        MAX(sampled_at) FILTER (requests IS NOT NULL) AS requests_at, MAX(sampled_at) FILTER (aborted_requests IS NOT NULL) AS aborted_at,
        MAX(sampled_at) FILTER (prefill_us IS NOT NULL) AS prefill_at, MAX(sampled_at) FILTER (decode_us IS NOT NULL) AS decode_at,
        MAX(sampled_at) FILTER (idle_us IS NOT NULL) AS idle_at,
        MAX(sampled_at) FILTER (cache_read_host_tokens IS NOT NULL) AS host_at,
        MAX(sampled_at) FILTER (cache_read_storage_tokens IS NOT NULL) AS storage_at
    FROM raw.engine_sample
    WHERE sampled_at > $period_start::TIMESTAMP - INTERVAL 24 HOUR AND sampled_at <= $period_start::TIMESTAMP
    GROUP BY engine_no
    UNION ALL
    SELECT
        engine_no, TRUE, MIN(sampled_at) FILTER (prompt_tokens IS NOT NULL),
        MIN(sampled_at) FILTER (cache_read_tokens IS NOT NULL), MIN(sampled_at) FILTER (output_tokens IS NOT NULL),
        MIN(sampled_at) FILTER (requests IS NOT NULL), MIN(sampled_at) FILTER (aborted_requests IS NOT NULL),
        MIN(sampled_at) FILTER (prefill_us IS NOT NULL), MIN(sampled_at) FILTER (decode_us IS NOT NULL),
        MIN(sampled_at) FILTER (idle_us IS NOT NULL), MIN(sampled_at) FILTER (cache_read_host_tokens IS NOT NULL),
        MIN(sampled_at) FILTER (cache_read_storage_tokens IS NOT NULL)
    FROM raw.engine_sample
    WHERE sampled_at >= $period_end::TIMESTAMP AND sampled_at < $period_end::TIMESTAMP + INTERVAL 24 HOUR
    GROUP BY engine_no
),
edge AS (
    SELECT DISTINCT engine_no,
        unnest([prompt_at, cache_read_at, output_at, requests_at, aborted_at, prefill_at, decode_at, idle_at, host_at, storage_at])
            AS sampled_at
    FROM margin
),
sample AS (
    SELECT * FROM raw.engine_sample
    WHERE sampled_at > $period_start::TIMESTAMP AND sampled_at < $period_end::TIMESTAMP
    UNION ALL BY NAME
    SELECT sample.* FROM raw.engine_sample AS sample
    JOIN edge USING (engine_no, sampled_at)
    WHERE sample.sampled_at > $period_start::TIMESTAMP - INTERVAL 24 HOUR
        AND sample.sampled_at < $period_end::TIMESTAMP + INTERVAL 24 HOUR
),
reading AS (
    SELECT
        engine_no, engine_series_no, epoch_us(sampled_at) AS sampled_us,
        CASE WHEN started_at < sampled_at THEN epoch_us(started_at) END AS started_us,  -- NULL: unknown, or a clock that is wrong
        unnest([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]) AS counter_no,
        unnest([prompt_tokens, cache_read_tokens, output_tokens, requests, aborted_requests, prefill_us, decode_us, idle_us,
                cache_read_host_tokens, cache_read_storage_tokens]) AS counted
    FROM sample
),
neighbour AS (
    SELECT
        reading.*, LAG(sampled_us) OVER earlier AS before_us, LAG(counted) OVER earlier AS counted_before
    FROM reading
    WHERE counted IS NOT NULL
    WINDOW earlier AS (PARTITION BY engine_no, counter_no ORDER BY sampled_us)
),
increment AS (  -- from zero at its start where the engine began after the reading before, or where there is none
    SELECT
        engine_no, engine_series_no, counter_no, sampled_us AS until_us,
        CASE WHEN started_us > COALESCE(before_us, started_us - 1) THEN started_us ELSE before_us END AS from_us,
        CASE WHEN started_us > COALESCE(before_us, started_us - 1) OR counted < counted_before THEN counted
            ELSE counted - counted_before END AS counted,
        COALESCE(sampled_us - before_us <= 86400000000 AND (COALESCE(started_us > before_us, FALSE) OR counted < counted_before), FALSE)
            AS is_reset
    FROM neighbour
),
counted_hour AS (
    SELECT
        engine_no, engine_series_no, counter_no, from_us, until_us, counted, is_reset,
        unnest(range(GREATEST(from_us // 3600000000, epoch_us($period_start::TIMESTAMP) // 3600000000),
                     LEAST((until_us - 1) // 3600000000, epoch_us($period_end::TIMESTAMP) // 3600000000 - 1) + 1)) AS hour_no
    FROM increment
    WHERE until_us - from_us <= 86400000000 AND from_us // 3600000000 < (until_us - 1) // 3600000000
),
cut AS (
    SELECT
        counted_hour.*, until_us - from_us AS span_us,
        GREATEST(hour_no * 3600000000 - from_us, 0)                       AS begins_us,
        LEAST((hour_no + 1) * 3600000000, until_us) - from_us             AS ends_us
    FROM counted_hour
),
part AS (
    SELECT
        from_us // 3600000000 AS hour_no, engine_no, engine_series_no, counter_no, counted, until_us - from_us AS observed_us, is_reset,
        0 AS at_border, 0 AS beyond
    FROM increment
    WHERE from_us // 3600000000 = (until_us - 1) // 3600000000  -- most: whole in one hour
        AND from_us >= epoch_us($period_start::TIMESTAMP) AND from_us < epoch_us($period_end::TIMESTAMP)
    UNION ALL
    SELECT
        hour_no, engine_no, engine_series_no, counter_no,
        (counted::HUGEINT * ends_us // span_us - counted::HUGEINT * begins_us // span_us)::BIGINT AS here, ends_us - begins_us,
        is_reset AND ends_us = span_us, CASE WHEN span_us <= $sample_hold_us::BIGINT THEN here ELSE 0 END,
        CASE WHEN span_us <= $sample_hold_us::BIGINT THEN counted - here ELSE 0 END
    FROM cut
),
engine_hour AS (
    SELECT
        hour_no, engine_no, engine_series_no, counter_no, SUM(counted)::BIGINT AS counted, SUM(observed_us)::BIGINT AS observed_us,
        COUNT(*) FILTER (is_reset) AS resets, SUM(at_border)::BIGINT AS at_border, SUM(beyond)::BIGINT AS beyond
    FROM part
    GROUP BY hour_no, engine_no, engine_series_no, counter_no
),
placed AS (  -- an engine that moved within the hour is one engine still
    SELECT
        place.charge_period_start, place.pool_no, place.deployment_no, place.model_no, engine_no, counter_no,
        SUM(counted) AS counted, SUM(observed_us) AS observed_us, SUM(resets) AS resets, SUM(at_border) AS at_border,
        SUM(beyond) AS beyond
    FROM engine_hour
    JOIN metering.engine_place_hourly AS place
        ON place.charge_period_start = make_timestamp(engine_hour.hour_no * 3600000000)
        AND place.engine_series_no = engine_hour.engine_series_no
    GROUP BY place.charge_period_start, place.pool_no, place.deployment_no, place.model_no, engine_no, counter_no
),
engine AS (
    SELECT
        charge_period_start, pool_no, deployment_no, model_no, engine_no, MAX(observed_us) AS observed_us, MAX(resets) AS resets,
        MAX(counted) FILTER (counter_no = 0) AS prompt_tokens, MAX(counted) FILTER (counter_no = 1) AS cache_read_tokens,
        MAX(counted) FILTER (counter_no = 2) AS output_tokens, MAX(counted) FILTER (counter_no = 3) AS requests,
        MAX(counted) FILTER (counter_no = 4) AS aborted_requests, MAX(counted) FILTER (counter_no = 5) AS prefill_us,
        MAX(counted) FILTER (counter_no = 6) AS decode_us, MAX(counted) FILTER (counter_no = 7) AS idle_us,
        MAX(counted) FILTER (counter_no = 8) AS host_tokens, MAX(counted) FILTER (counter_no = 9) AS storage_tokens,
        MAX(at_border) FILTER (counter_no = 0) AS prompt_at_border, MAX(at_border) FILTER (counter_no = 1) AS cache_read_at_border,
        MAX(at_border) FILTER (counter_no = 2) AS output_at_border, MAX(beyond) FILTER (counter_no = 0) AS prompt_beyond,
        MAX(beyond) FILTER (counter_no = 2) AS output_beyond,
        -- NULL where either is not told
        CASE WHEN COUNT(*) FILTER (counter_no = 5) > 0 AND COUNT(*) FILTER (counter_no = 6) > 0
            THEN LEAST(MAX(observed_us) FILTER (counter_no = 5), MAX(observed_us) FILTER (counter_no = 6)) END AS phase_observed_us,
        COALESCE(MAX(observed_us) FILTER (counter_no = 0), 0) <= COALESCE(MAX(observed_us) FILTER (counter_no = 1), 0)
            AS cache_split_known
    FROM placed
    GROUP BY charge_period_start, pool_no, deployment_no, model_no, engine_no
)
SELECT
    charge_period_start,
    pool_no,
    deployment_no,
    model_no,
    COUNT(*)                                 AS engines,
    SUM(observed_us)::BIGINT                 AS observed_us,
    SUM(prompt_tokens)::BIGINT               AS prompt_tokens,
    SUM(cache_read_tokens)::BIGINT           AS cache_read_tokens,
    SUM(output_tokens)::BIGINT               AS output_tokens,
    SUM(requests)::BIGINT                    AS requests,
    SUM(aborted_requests)::BIGINT            AS aborted_requests,
    SUM(prefill_us)::BIGINT                  AS prefill_us,
    SUM(decode_us)::BIGINT                   AS decode_us,
    SUM(idle_us)::BIGINT                     AS idle_us,
    SUM(phase_observed_us)::BIGINT           AS phase_observed_us,
    BOOL_AND(cache_split_known)              AS cache_split_known,
    SUM(resets)::BIGINT                      AS resets,
    SUM(host_tokens) FILTER (cache_read_tokens IS NOT NULL)::BIGINT    AS cache_read_host_tokens,
    SUM(storage_tokens) FILTER (cache_read_tokens IS NOT NULL)::BIGINT AS cache_read_storage_tokens,
    SUM(cache_read_tokens) FILTER (host_tokens IS NOT NULL OR storage_tokens IS NOT NULL)::BIGINT AS tiered_cache_read_tokens,
    SUM(prompt_at_border)::BIGINT            AS border_prompt_tokens,
    SUM(cache_read_at_border)::BIGINT        AS border_cache_read_tokens,
    SUM(output_at_border)::BIGINT            AS border_output_tokens,
    SUM(prompt_beyond)::BIGINT               AS beyond_prompt_tokens,
    SUM(output_beyond)::BIGINT               AS beyond_output_tokens
FROM engine
GROUP BY charge_period_start, pool_no, deployment_no, model_no
