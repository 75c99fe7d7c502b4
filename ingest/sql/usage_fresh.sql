-- Distinct dimension combinations of the slice that the session has not met yet, as JSON text of the values:
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
    nullif(parts[1], '') AS source,
    nullif(parts[2], '') AS model,
    nullif(parts[3], '') AS provider,
    nullif(parts[4], '') AS cluster,
    nullif(parts[5], '') AS deployment,
    nullif(parts[6], '') AS replica,
    nullif(parts[7], '') AS principal,
    nullif(parts[8], '') AS namespace,
    nullif(parts[9], '') AS tags,
    nullif(parts[10], '') AS status,
    nullif(parts[11], '') AS usage_quality,
    nullif(parts[12], '') AS tier,
    nullif(parts[13], '') AS language,
    nullif(parts[14], '') AS region,
    records
FROM fresh
