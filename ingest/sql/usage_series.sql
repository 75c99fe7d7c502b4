-- Sound combinations get their numbers, unsound ones keep their fault: both become known to the session.
-- Reads judged_series and book.model; fills known_series, raw.source, raw.caller, raw.series.
-- A source is a label, and labels are bounded; what is no label at all must not stop the slice it came in.
UPDATE judged_series
SET fault = 'too_many_sources: source is ' || source[:40] || ', and the ledger has 32,000 already; report under one of them'
WHERE fault IS NULL AND source IN (
    SELECT source
    FROM (SELECT DISTINCT source FROM judged_series WHERE fault IS NULL) AS fresh
    WHERE source NOT IN (SELECT source FROM raw.source)
    ORDER BY source
    OFFSET greatest(32000 - (SELECT count(*) FROM raw.source), 0)
);

INSERT INTO raw.source
SELECT (SELECT coalesce(max(source_no), 0) FROM raw.source) + row_number() OVER (ORDER BY source), source
FROM (SELECT DISTINCT source FROM judged_series WHERE fault IS NULL) AS fresh
WHERE source NOT IN (SELECT source FROM raw.source);

CREATE OR REPLACE TEMP TABLE called_series AS
SELECT
    judged.*,
    '[' || to_json(source)::VARCHAR || ',' || to_json(principal)::VARCHAR || ',' || to_json(namespace)::VARCHAR || ',' || tags || ']' AS caller
FROM judged_series AS judged
WHERE fault IS NULL;

INSERT INTO raw.caller
SELECT (SELECT max(caller_no) FROM raw.caller) + row_number() OVER (ORDER BY caller), caller, source, principal, namespace, tags
FROM (SELECT DISTINCT caller, source, principal, namespace, tags FROM called_series) AS fresh
WHERE caller NOT IN (SELECT caller FROM raw.caller);

CREATE OR REPLACE TEMP TABLE numbered_series AS
SELECT
    called.series_key, called.dropped_tags, origin.source_no, model.model_no, caller.caller_no, called.provider, called.cluster,
    called.deployment, called.replica, called.status, called.usage_quality, called.tier, called.language, called.region
FROM called_series AS called
JOIN raw.source AS origin USING (source)
JOIN book.model AS model ON model.model_id = called.model
JOIN raw.caller AS caller USING (caller);

INSERT INTO raw.series
SELECT (SELECT coalesce(max(series_no), 0) FROM raw.series) + row_number() OVER (ORDER BY fresh), fresh.*
FROM (
    SELECT DISTINCT source_no, model_no, caller_no, provider, cluster, deployment, replica, status, usage_quality, tier, language, region
    FROM numbered_series
    EXCEPT
    SELECT source_no, model_no, caller_no, provider, cluster, deployment, replica, status, usage_quality, tier, language, region
    FROM raw.series
) AS fresh;

INSERT INTO known_series
SELECT numbered.series_key, series.series_no, series.source_no, NULL, numbered.dropped_tags
FROM numbered_series AS numbered
JOIN raw.series AS series USING (source_no, model_no, caller_no, provider, cluster, deployment, replica, status, usage_quality, tier, language, region)
UNION ALL
SELECT series_key, NULL, NULL, fault, 0 FROM judged_series WHERE fault IS NOT NULL;
