-- Sources of metrics are counted under their own names, as those of topics and requests are.
-- Who delivered: the configured source of a topic, of requests or of metrics; of files the format, since their streams are named by path.
CREATE OR REPLACE VIEW export.ingest_totals AS
SELECT
    kind,
    CASE WHEN regexp_matches(stream, '^(kafka|http|prometheus):') THEN regexp_extract(stream, '^[a-z]+:([^/#]*)', 1) ELSE format END AS source,
    outcome, sum(records)::HUGEINT AS records
FROM (
    UNPIVOT (SELECT kind, format, stream, received, landed, duplicates, superseded, conflicts, rejected, skewed FROM raw.batch)
    ON received, landed, duplicates, superseded, conflicts, rejected, skewed INTO NAME outcome VALUE records
) AS counted
GROUP BY ALL;
COMMENT ON VIEW export.ingest_totals IS 'records by source and outcome; received = landed + duplicates + superseded + conflicts + rejected';

CREATE OR REPLACE VIEW export.rejections AS
SELECT
    kind,
    CASE WHEN regexp_matches(stream, '^(kafka|http|prometheus):') THEN regexp_extract(stream, '^[a-z]+:([^/#]*)', 1) ELSE format END AS source,
    reason, count(*) AS records, count(replayed_at) AS replayed
FROM raw.rejection
GROUP BY ALL;
COMMENT ON VIEW export.rejections IS 'records that were not landed, by source and reason';
