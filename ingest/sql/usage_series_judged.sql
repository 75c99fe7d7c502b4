-- Dimension combinations that the session has not met are judged and normalised, once per distinct combination: defaults,
-- the tag allow-list, and a fault where a value is not sound. Reads fresh_series (JSON text of the values per series_key).
CREATE OR REPLACE TEMP TABLE judged_series AS
WITH texts AS (
    SELECT
        fresh.*,
        json_keys(coalesce(tags, '{}')) AS tag_keys,
        list_sort(list_filter(json_keys(coalesce(tags, '{}')), lambda key: list_contains(getvariable('tag_allow_list'), key))) AS kept_keys
    FROM fresh_series AS fresh
),
faults AS (
    SELECT
        texts.*,
        coalesce(
            text_fault('source', source, true, 256), text_fault('model', model, true, 256),
            text_fault('provider', provider, false, 256), text_fault('cluster', cluster, false, 256),
            text_fault('deployment', deployment, false, 256), text_fault('replica', replica, false, 256),
            text_fault('principal', principal, false, 512), text_fault('namespace', namespace, false, 256),
            text_fault('tier', tier, false, 256), text_fault('language', language, false, 256),
            text_fault('region', region, false, 256),
            CASE WHEN coalesce(status->>'$', 'success') NOT IN ('success', 'failed', 'cancelled')
                THEN 'unknown_value: status is ' || status[:40] || '; it is success, failed or cancelled' END,
            CASE WHEN coalesce(usage_quality->>'$', 'reported') NOT IN ('reported', 'estimated', 'missing', 'partial')
                THEN 'unknown_value: usage_quality is ' || usage_quality[:40] || '; it is reported, estimated, missing or partial' END,
            CASE WHEN tags IS NOT NULL AND json_type(tags) <> 'OBJECT'
                THEN 'wrong_type: tags is ' || tags[:40] || '; send an object of text values' END,
            CASE WHEN len(tag_keys) > 64 THEN 'too_many_tags: ' || len(tag_keys) || ' tags; at most 64' END,
            list_first(list_filter(
                list_transform(kept_keys, lambda key: text_fault('tag ' || key, json_extract(tags, '$."' || key || '"')::VARCHAR, false, 256)),
                lambda fault: fault IS NOT NULL))
        ) AS fault
    FROM texts
)
SELECT
    series_key, records, fault, source->>'$' AS source, model->>'$' AS model,
    coalesce(nullif(provider->>'$', ''), 'self') AS provider, coalesce(cluster->>'$', '') AS cluster,
    coalesce(deployment->>'$', '') AS deployment, coalesce(replica->>'$', '') AS replica,
    coalesce(principal->>'$', '') AS principal, coalesce(namespace->>'$', '') AS namespace,
    coalesce(status->>'$', 'success') AS status, coalesce(usage_quality->>'$', 'reported') AS usage_quality,
    coalesce(tier->>'$', '') AS tier, coalesce(language->>'$', '') AS language, coalesce(region->>'$', '') AS region,
    '{' || coalesce(list_aggregate(list_transform(
        list_filter(kept_keys, lambda key: json_extract(tags, '$."' || key || '"') IS NOT NULL),
        lambda key: to_json(key)::VARCHAR || ':' || json_extract(tags, '$."' || key || '"')::VARCHAR), 'string_agg', ','), '') || '}' AS tags,
    len(tag_keys) - len(kept_keys) AS dropped_tags
FROM faults;
