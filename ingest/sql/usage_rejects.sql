-- Records that did not land, with why: the facts' fault, else the series' fault, else the line was no record at all.
CREATE OR REPLACE TEMP TABLE refused AS
SELECT decoded.*, series.fault AS series_fault
FROM decoded_usage('numbered') AS decoded
LEFT JOIN (SELECT series_key, fault FROM known_series WHERE fault IS NOT NULL) AS series USING (series_key) -- NULL: the series is sound
WHERE decoded.sound IS NOT TRUE OR series.fault IS NOT NULL;

SELECT
    record,
    coalesce(
        CASE WHEN event_id IS NULL AND source IS NULL AND occurred_at IS NULL AND model IS NULL
            THEN 'malformed: no usage event could be read' END,
        text_fault('event_id', event_id, true, 512),
        time_fault('occurred_at', occurred_at, claimed_at),
        first_fault(list_transform([
            {name: 'uncached_input_tokens', text: uncached_input_tokens, most: getvariable('tokens_max')},
            {name: 'cache_read_tokens', text: cache_read_tokens, most: getvariable('tokens_max')},
            {name: 'cache_write_tokens', text: cache_write_tokens, most: getvariable('tokens_max')},
            {name: 'output_tokens', text: output_tokens, most: getvariable('tokens_max')},
            {name: 'reasoning_tokens', text: reasoning_tokens, most: getvariable('tokens_max')},
            {name: 'requests', text: requests, most: 1000000},
            {name: 'revision', text: revision, most: 2147483647}
        ], lambda field: count_fault(field.name, field.text, field.most))),
        first_fault(list_transform([
            {name: 'trace_id', text: trace_id}, {name: 'session_id', text: session_id},
            {name: 'response_id', text: response_id}, {name: 'call_id', text: call_id}
        ], lambda field: text_fault(field.name, field.text, false, 512))),
        first_fault(list_transform([
            {name: 'ttft_ms', text: ttft_ms, parsed: ttft},
            {name: 'duration_ms', text: duration_ms, parsed: duration},
            {name: 'queue_ms', text: queue_ms, parsed: queued}
        ], lambda field: number_fault(field.name, field.text, field.parsed))),
        series_fault) AS fault,
    CASE WHEN source[1] = '"' THEN (source->>'$')[:256] ELSE '' END AS source,
    id AS identity
FROM refused
ORDER BY record
