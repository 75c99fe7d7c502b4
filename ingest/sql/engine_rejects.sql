-- Records that did not land, with why: the facts' fault, else the series' fault, else the line was no record at all.
CREATE OR REPLACE TEMP TABLE refused AS
SELECT decoded.*, series.fault AS series_fault
FROM decoded_engine('numbered') AS decoded
LEFT JOIN (SELECT series_key, fault FROM known_series WHERE fault IS NOT NULL) AS series USING (series_key) -- NULL: the series is sound
WHERE decoded.sound IS NOT TRUE OR series.fault IS NOT NULL;

SELECT
    record,
    coalesce(
        CASE WHEN instance IS NULL AND sampled_at IS NULL THEN 'malformed: no engine sample could be read' END,
        text_fault('instance', instance, true, 256),
        time_fault('sampled_at', sampled_at, claimed_at),
        start_fault('started_at', started_at, started),
        first_fault(list_transform([
            {name: 'prompt_tokens', text: prompt_tokens, most: 1000000000000000},
            {name: 'cache_read_tokens', text: cache_read_tokens, most: 1000000000000000},
            {name: 'cache_read_host_tokens', text: cache_read_host_tokens, most: 1000000000000000},
            {name: 'cache_read_storage_tokens', text: cache_read_storage_tokens, most: 1000000000000000},
            {name: 'output_tokens', text: output_tokens, most: 1000000000000000},
            {name: 'requests', text: requests, most: 1000000000000000},
            {name: 'aborted_requests', text: aborted_requests, most: 1000000000000000},
            {name: 'estimated_flops', text: estimated_flops, most: 1000000000000000000000000000},
            {name: 'estimated_bytes', text: estimated_bytes, most: 1000000000000000000000000000},
            {name: 'requests_running', text: requests_running, most: 2147483647},
            {name: 'requests_waiting', text: requests_waiting, most: 2147483647}
        ], lambda field: count_fault(field.name, field.text, field.most::HUGEINT))),
        first_fault(list_transform([
            {name: 'prefill_seconds', text: prefill_seconds}, {name: 'decode_seconds', text: decode_seconds},
            {name: 'idle_seconds', text: idle_seconds}
        ], lambda field: seconds_fault(field.name, field.text))),
        ratio_fault('kv_cache_ratio', kv_cache_ratio),
        series_fault) AS fault,
    '' AS source,
    unquoted(instance) AS identity
FROM refused
ORDER BY record
