-- step:   metering.observed_event
-- grain:  event_row
-- reads:  raw.usage_event, raw.series, raw.source, book.policy
-- params: period_start, period_end, policy_version
-- why:    a call that several sources tell of is metered once, from the source that the policy believes first, and these events
--         are what the others say; nothing is compared where one source alone names its calls
WITH listed AS (
    SELECT unnest(patterns) AS pattern, unnest(range(len(patterns))) AS place
    FROM (
        SELECT from_json(COALESCE(observers, '[]'), '["VARCHAR"]') AS patterns
        FROM book.policy WHERE policy_version = $policy_version::INTEGER
    )
),
observer AS (  -- those that no pattern names come last, by name
    SELECT source_no, ROW_NUMBER() OVER (ORDER BY MIN(place) NULLS LAST, source) AS rank
    FROM raw.source
    LEFT JOIN listed ON source LIKE pattern ESCAPE '\'
    GROUP BY source_no, source
),
voice AS (  -- who does not know the counts gives way to whoever does
    SELECT series_no, source_no, rank + CASE WHEN usage_quality = 'missing' THEN 65536 ELSE 0 END AS rank
    FROM raw.series
    JOIN observer USING (source_no)
),
named AS (
    SELECT
        event.rowid AS event_row, date_trunc('hour', event.occurred_at) AS charge_period_start, event.series_no,
        event.uncached_input_tokens + event.cache_read_tokens + event.cache_write_tokens + event.output_tokens
            + event.reasoning_tokens AS consumed_tokens,
        unnest([event.response_key, event.call_key]) AS name_key
    FROM raw.usage_event AS event
    WHERE event.occurred_at >= $period_start::TIMESTAMP - INTERVAL 1 HOUR
        AND event.occurred_at < $period_end::TIMESTAMP + INTERVAL 1 HOUR
        AND (event.response_key IS NOT NULL OR event.call_key IS NOT NULL)
        AND (
            SELECT MIN(source_no) <> MAX(source_no) FROM raw.usage_event
            WHERE occurred_at >= $period_start::TIMESTAMP - INTERVAL 1 HOUR
                AND occurred_at < $period_end::TIMESTAMP + INTERVAL 1 HOUR
                AND (response_key IS NOT NULL OR call_key IS NOT NULL)
        )
),
told AS (
    SELECT named.event_row, named.charge_period_start, named.consumed_tokens, named.name_key, voice.source_no, voice.rank
    FROM named
    JOIN voice USING (series_no)
    WHERE named.name_key IS NOT NULL
),
shared AS (
    SELECT name_key, MIN(rank) AS rank, MAX(charge_period_start) > MIN(charge_period_start) + INTERVAL 1 HOUR AS lasts
    FROM told
    GROUP BY name_key
    HAVING MIN(source_no) <> MAX(source_no)
),
lasting AS (  -- a name holds for an hour and the hours beside it; grouped before it is joined, so that one that repeats costs no square
    SELECT name_key, charge_period_start, MIN(rank) AS rank
    FROM (
        SELECT name_key, rank, charge_period_start + INTERVAL 1 HOUR * unnest([-1, 0, 1]) AS charge_period_start
        FROM (
            SELECT DISTINCT told.name_key, told.charge_period_start, told.rank
            FROM told
            JOIN shared ON shared.name_key = told.name_key AND shared.lasts
        )
    )
    GROUP BY name_key, charge_period_start
),
verdict AS (
    SELECT
        told.event_row, told.charge_period_start, told.consumed_tokens, told.source_no,
        COALESCE(lasting.rank, shared.rank) AS rank
    FROM told
    JOIN shared USING (name_key)
    LEFT JOIN lasting ON lasting.name_key = told.name_key AND lasting.charge_period_start = told.charge_period_start  -- NULL: brief
    WHERE told.charge_period_start >= $period_start::TIMESTAMP AND told.charge_period_start < $period_end::TIMESTAMP
)
SELECT
    verdict.event_row, verdict.charge_period_start, verdict.source_no,
    arg_min(observer.source_no, verdict.rank) AS believed_no, ANY_VALUE(verdict.consumed_tokens) AS consumed_tokens
FROM verdict
JOIN observer ON observer.rank = verdict.rank % 65536 AND observer.source_no <> verdict.source_no
GROUP BY verdict.event_row, verdict.charge_period_start, verdict.source_no
