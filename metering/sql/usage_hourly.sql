-- step:   metering.usage_hourly
-- grain:  charge_period_start, series_no
-- reads:  raw.usage_event
-- params: period_start, period_end
-- why:    the one pass over the month's events; landing left one live row per source and event id, so it only adds
SELECT
    date_trunc('hour', occurred_at)     AS charge_period_start,
    series_no,
    SUM(uncached_input_tokens)::BIGINT  AS uncached_input_tokens,
    SUM(cache_read_tokens)::BIGINT      AS cache_read_tokens,
    SUM(cache_write_tokens)::BIGINT     AS cache_write_tokens,
    SUM(output_tokens)::BIGINT          AS output_tokens,
    SUM(reasoning_tokens)::BIGINT       AS reasoning_tokens,
    SUM(requests)::BIGINT               AS requests,
    COUNT(*)                            AS events
FROM raw.usage_event
WHERE occurred_at >= $period_start::TIMESTAMP AND occurred_at < $period_end::TIMESTAMP
GROUP BY 1, 2
