-- Distinct dimension combinations of the incoming records that the session has not met yet, as JSON text of the values.
CREATE OR REPLACE TEMP TABLE fresh_series AS
SELECT
    series_key, source, model, provider, cluster, deployment, replica, principal, namespace, tags,
    status, usage_quality, tier, language, region, count(*) AS records
FROM decoded_usage('incoming')
WHERE series_key NOT IN (SELECT series_key FROM known_series)
GROUP BY ALL
