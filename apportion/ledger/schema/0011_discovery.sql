-- What an operator should look at: models, callers and sources as they really came, where config or their settings lose something.
-- Of what was metered last a week, of single events a day; the shares say how much of that is touched.
CREATE VIEW export.discoveries AS
WITH newest AS (
    SELECT coalesce(max(charge_period_start), TIMESTAMP '0001-01-09') AS charge_period_start FROM metering.metered_hour
),
placed AS (
    SELECT usage.*, uncached_input_tokens + cache_read_tokens + cache_write_tokens + output_tokens + reasoning_tokens AS tokens
    FROM metering.placed_usage_hourly AS usage
    CROSS JOIN newest
    WHERE usage.charge_period_start > newest.charge_period_start - INTERVAL 7 DAY AND usage.provider = 'self'
),
unplaced AS (
    SELECT
        'unplaced_model' AS finding, model.model_id AS subject, '' AS detail,
        sum(tokens) FILTER (deployment_no = 0) AS affected, sum(tokens) AS total
    FROM placed
    JOIN book.model AS model USING (model_no)
    GROUP BY model.model_id
),
unmapped AS (
    SELECT
        'unmapped_caller' AS finding, caller.principal AS subject,
        caller.source || CASE WHEN caller.namespace = '' THEN '' ELSE ', namespace ' || caller.namespace END
            || CASE WHEN caller.tags = '{}' THEN '' ELSE ', tags ' || caller.tags END AS detail,
        sum(placed.tokens) AS affected, (SELECT sum(tokens) FROM placed) AS total
    FROM placed
    JOIN raw.caller AS caller USING (caller_no)
    JOIN attribution.caller_team AS payer
        ON payer.caller_no = placed.caller_no
        AND placed.charge_period_start >= payer.effective_from AND placed.charge_period_start < payer.effective_to
    WHERE payer.team = '__unmapped__' AND caller.caller_no > 0
    GROUP BY caller.caller_no, caller.principal, caller.source, caller.namespace, caller.tags
    ORDER BY affected DESC, caller.caller_no
    LIMIT 50
),
quality AS (
    SELECT source.source, series.usage_quality, count(*) AS events, sum(count(*)) OVER (PARTITION BY source.source) AS total
    FROM raw.usage_event AS event
    CROSS JOIN newest
    JOIN raw.series AS series USING (series_no)
    JOIN raw.source AS source ON source.source_no = event.source_no
    WHERE event.occurred_at > newest.charge_period_start - INTERVAL 1 DAY
    GROUP BY source.source, series.usage_quality
),
telemetry AS (
    SELECT deployment.deployment_id, count(*) FILTER (observed_us = 0) AS unseen, count(*) FILTER (low_coverage) AS thin, count(*) AS hours
    FROM metering.deployment_hourly AS hour_cost
    CROSS JOIN newest
    JOIN book.deployment_key AS deployment USING (deployment_no)
    WHERE hour_cost.charge_period_start > newest.charge_period_start - INTERVAL 1 DAY AND utilization = 'active' AND paid_us > 0
    GROUP BY deployment.deployment_id
),
compared AS (
    SELECT
        deployment.deployment_id, coalesce(sum(engine_input_tokens), 0) + coalesce(sum(engine_output_tokens), 0) AS engine_tokens,
        sum(unlogged_uncached_input_tokens + unlogged_cache_read_tokens + unlogged_output_tokens) AS unlogged_tokens,
        sum(engine_cache_read_tokens) AS engine_cache_read_tokens, sum(logged_cache_read_tokens) AS logged_cache_read_tokens,
        sum(logged_input_tokens) AS logged_input_tokens
    FROM metering.reconciliation_hourly AS hour_compared
    CROSS JOIN newest
    JOIN book.deployment_key AS deployment USING (deployment_no)
    WHERE hour_compared.charge_period_start > newest.charge_period_start - INTERVAL 7 DAY AND deployment_no > 0
    GROUP BY deployment.deployment_id
)
SELECT finding, subject, detail, affected::HUGEINT AS affected, total::HUGEINT AS total
FROM (
    SELECT * FROM unplaced
    UNION ALL SELECT * FROM unmapped
    UNION ALL SELECT usage_quality || '_usage', source, '', events, total FROM quality WHERE usage_quality <> 'reported'
    UNION ALL
    SELECT 'clock_ahead', source.source, max(epoch_us(reported_at) - epoch_us(skewed.occurred_at))::VARCHAR, count(*), NULL
    FROM raw.skewed_event AS skewed
    CROSS JOIN newest
    JOIN raw.source AS source USING (source_no)
    WHERE skewed.occurred_at > newest.charge_period_start - INTERVAL 7 DAY
    GROUP BY source.source
    UNION ALL SELECT 'no_gpu_telemetry', deployment_id, '', unseen, hours FROM telemetry WHERE unseen > 0
    UNION ALL SELECT 'thin_gpu_telemetry', deployment_id, '', thin - unseen, hours FROM telemetry WHERE thin > unseen
    UNION ALL SELECT 'unlogged_tokens', deployment_id, '', unlogged_tokens, engine_tokens FROM compared
    UNION ALL
    SELECT 'untold_cache_reads', deployment_id, '', engine_cache_read_tokens, logged_input_tokens FROM compared
    WHERE logged_cache_read_tokens = 0 AND logged_input_tokens > 0
    UNION ALL
    SELECT 'sampled_spans', format, '', count(*), NULL
    FROM raw.rejection
    CROSS JOIN newest
    WHERE reason = 'sampled' AND rejected_at > newest.charge_period_start - INTERVAL 7 DAY
    GROUP BY format
    UNION ALL
    SELECT 'dropped_tags', format, '', sum(dropped_tags), NULL
    FROM raw.batch
    CROSS JOIN newest
    WHERE dropped_tags > 0 AND ingested_at > newest.charge_period_start - INTERVAL 7 DAY
    GROUP BY format
    UNION ALL
    SELECT 'claimed_identity', format, '', sum(events), sum(landed)
    FROM raw.claim
    CROSS JOIN newest
    JOIN raw.batch USING (batch_no)
    WHERE ingested_at > newest.charge_period_start - INTERVAL 7 DAY
    GROUP BY format
)
WHERE affected > 0;
COMMENT ON VIEW export.discoveries IS 'what an operator should look at; affected of total are tokens, events or hours by finding; total NULL is unknown';
