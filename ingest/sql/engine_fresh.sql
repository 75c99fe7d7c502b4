-- Distinct places of engines of the slice that the session has not met yet, as JSON text of the values:
-- a series key is those texts, joined by a character that JSON text cannot hold.
CREATE OR REPLACE TEMP TABLE fresh_series AS
WITH fresh AS (
    SELECT series_key, string_split(series_key, chr(31)) AS parts, count(*) AS records
    FROM taken
    WHERE series_key NOT IN (SELECT series_key FROM known_series)
    GROUP BY series_key
)
SELECT
    series_key,
    nullif(parts[1], '') AS instance,
    nullif(parts[2], '') AS engine,
    nullif(parts[3], '') AS model,
    nullif(parts[4], '') AS software,
    nullif(parts[5], '') AS cluster,
    nullif(parts[6], '') AS node,
    nullif(parts[7], '') AS deployment,
    nullif(parts[8], '') AS namespace,
    nullif(parts[9], '') AS pod,
    nullif(parts[10], '') AS replica,
    records
FROM fresh
