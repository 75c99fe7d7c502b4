-- Dimension combinations that the session has not met are judged and normalised, once per distinct combination: defaults,
-- the tag allow-list, and a fault where a value is not sound. What formats mark a claim of the caller's with is no tag. Reads fresh_series (JSON text of the values per series_key).
CREATE OR REPLACE TEMP TABLE judged_series AS
WITH texts AS (
    SELECT
        fresh.*,
        CASE WHEN tags[1] = '{' THEN list_filter(list_distinct(json_keys(tags)), lambda key: key <> getvariable('claim_mark')) ELSE [] END
            AS tag_keys
    FROM fresh_series AS fresh
),
kept AS (
    SELECT
        texts.*,
        list_sort(list_filter(list_intersect(tag_keys, getvariable('tag_allow_list')), lambda key:
            json_extract(tags, '/' || replace(replace(key, '~', '~0'), '/', '~1'))::VARCHAR <> 'null')) AS kept_keys
    FROM texts
),
allowed AS (
    SELECT
        kept.*,
        list_transform(kept_keys, lambda key: json_extract(tags, '/' || replace(replace(key, '~', '~0'), '/', '~1'))::VARCHAR) AS kept_values
    FROM kept
),
faults AS (
    SELECT
        allowed.*,
        coalesce(
            first_fault(list_transform([
                {name: 'source', text: source, required: true, most: 256}, {name: 'model', text: model, required: true, most: 256},
                {name: 'provider', text: provider, required: false, most: 256}, {name: 'cluster', text: cluster, required: false, most: 256},
                {name: 'deployment', text: deployment, required: false, most: 256}, {name: 'replica', text: replica, required: false, most: 256},
                {name: 'principal', text: principal, required: false, most: 512}, {name: 'namespace', text: namespace, required: false, most: 256},
                {name: 'tier', text: tier, required: false, most: 256}, {name: 'language', text: language, required: false, most: 256},
                {name: 'region', text: region, required: false, most: 256}
            ], lambda field: text_fault(field.name, field.text, field.required, field.most))),
            CASE WHEN len(getvariable('source_globs')) > 0
                AND len(list_filter(getvariable('source_globs'), lambda source_glob: (source->>'$') GLOB source_glob)) = 0
                THEN 'foreign_source: source is ' || shown(source) || ', which is not believed from here; add it to accepts' END,
            CASE WHEN coalesce(status->>'$', 'success') NOT IN ('success', 'failed', 'cancelled')
                THEN 'unknown_value: status is ' || shown(status) || '; it is success, failed or cancelled' END,
            CASE WHEN usage_quality->>'$' = 'sampled'
                THEN 'sampled: some requests were traced and others not, so that this says nothing about the whole; send every one, or logs' END,
            CASE WHEN coalesce(usage_quality->>'$', 'reported') NOT IN ('reported', 'estimated', 'missing', 'partial')
                THEN 'unknown_value: usage_quality is ' || shown(usage_quality) || '; it is reported, estimated, missing or partial' END,
            CASE WHEN tags[1] <> '{'
                THEN 'wrong_type: tags is ' || shown(tags) || '; send an object of text values' END,
            CASE WHEN len(tag_keys) > 64 THEN 'too_many_tags: ' || len(tag_keys) || ' tags; at most 64' END,
            first_fault(list_transform(list_zip(kept_keys, kept_values), lambda tag: text_fault('tag ' || tag[1], tag[2], false, 256)))
        ) AS fault
    FROM allowed
)
SELECT
    series_key, records, fault, source->>'$' AS source, model->>'$' AS model,
    coalesce(nullif(provider->>'$', ''), 'self') AS provider, coalesce(cluster->>'$', '') AS cluster,
    coalesce(deployment->>'$', '') AS deployment, coalesce(replica->>'$', '') AS replica,
    coalesce(sealed_key(principal->>'$'), '') AS principal, coalesce(namespace->>'$', '') AS namespace,
    coalesce(status->>'$', 'success') AS status, coalesce(usage_quality->>'$', 'reported') AS usage_quality,
    coalesce(tier->>'$', '') AS tier, coalesce(language->>'$', '') AS language, coalesce(region->>'$', '') AS region,
    '{' || array_to_string(list_transform(list_zip(kept_keys, kept_values), lambda tag: to_json(tag[1])::VARCHAR || ':' || tag[2]), ',') || '}'
        AS tags,
    len(list_filter(tag_keys, lambda key: NOT list_contains(getvariable('tag_allow_list'), key))) AS dropped_tags
FROM faults;
