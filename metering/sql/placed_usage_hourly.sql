-- step:   metering.placed_usage_hourly
-- grain:  charge_period_start, deployment_no, provider, model_no, caller_no, tier
-- reads:  raw.usage_event, metering.series_place, metering.observed_event
-- params: period_start, period_end
-- why:    the one pass over the events: landing left one live row per source and event id, so that it only adds; grouped by
--         small numbers, and by nothing that tells no charge apart; what other sources say of a metered call is passed over;
--         how long the context was of what was decoded is added whoever weighs it: an hour is what its inputs make it; a series
--         has one place for the whole of an hour, so that no event is placed by itself
WITH usage AS (
    SELECT
        epoch_us(event.occurred_at) // 3600000000 AS hour_no, event.series_no,
        SUM(event.uncached_input_tokens)          AS uncached_input_tokens,
        SUM(event.cache_read_tokens)              AS cache_read_tokens,
        SUM(event.cache_write_tokens)             AS cache_write_tokens,
        SUM(event.output_tokens)                  AS output_tokens,
        SUM(event.reasoning_tokens)               AS reasoning_tokens,
        SUM(event.requests)                       AS requests,
        COUNT(*)                                  AS events,
        SUM(LEAST(event.output_tokens, 2147483647) * LEAST(
            event.uncached_input_tokens + event.cache_read_tokens + event.cache_write_tokens
            + (event.output_tokens + event.reasoning_tokens) // 2, 2147483647)) AS output_context_tokens,
        SUM(LEAST(event.reasoning_tokens, 2147483647) * LEAST(
            event.uncached_input_tokens + event.cache_read_tokens + event.cache_write_tokens
            + (event.output_tokens + event.reasoning_tokens) // 2, 2147483647)) AS reasoning_context_tokens
    FROM raw.usage_event AS event
    ANTI JOIN metering.observed_event AS observed ON observed.event_row = event.rowid
    WHERE event.occurred_at >= $period_start::TIMESTAMP AND event.occurred_at < $period_end::TIMESTAMP
    GROUP BY 1, 2
),
placed AS (
    SELECT
        make_timestamp(usage.hour_no * 3600000000) AS charge_period_start, series.place_no,
        SUM(uncached_input_tokens)::BIGINT AS uncached_input_tokens, SUM(cache_read_tokens)::BIGINT AS cache_read_tokens,
        SUM(cache_write_tokens)::BIGINT AS cache_write_tokens, SUM(output_tokens)::BIGINT AS output_tokens,
        SUM(reasoning_tokens)::BIGINT AS reasoning_tokens, SUM(requests)::BIGINT AS requests, SUM(events)::BIGINT AS events,
        SUM(output_context_tokens)::HUGEINT AS output_context_tokens, SUM(reasoning_context_tokens)::HUGEINT AS reasoning_context_tokens
    FROM usage
    LEFT JOIN metering.series_place AS series  -- every series has one; without, its events would stop at NOT NULL and not get lost
        ON series.series_no = usage.series_no
        AND make_timestamp(usage.hour_no * 3600000000) >= series.effective_from
        AND make_timestamp(usage.hour_no * 3600000000) < series.effective_to
    GROUP BY 1, 2
),
place AS (
    SELECT DISTINCT place_no, pool_no, deployment_no, provider, model_no, caller_no, tier
    FROM metering.series_place
)
SELECT
    placed.charge_period_start, place.pool_no, place.deployment_no, place.provider, place.model_no, place.caller_no, place.tier,
    placed.uncached_input_tokens, placed.cache_read_tokens, placed.cache_write_tokens, placed.output_tokens, placed.reasoning_tokens,
    placed.requests, placed.events, placed.output_context_tokens, placed.reasoning_context_tokens
FROM placed
LEFT JOIN place USING (place_no)
