-- Who delivered, also where metrics and drivers are asked; and how often callers write who is to pay, which nobody believes.
CREATE TABLE raw.claim (batch_no INTEGER PRIMARY KEY, events BIGINT NOT NULL);
COMMENT ON TABLE raw.claim IS 'landed events of a batch whose caller wrote in the request who is to pay; batches without any have no row';

-- The configured source of a topic, of requests, of metrics or of a driver; of files the format, since their streams are named by path.
CREATE OR REPLACE VIEW export.ingest_totals AS
SELECT
    kind,
    CASE WHEN regexp_matches(stream, '^(kafka|http|prometheus|nvml):') THEN regexp_extract(stream, '^[a-z]+:([^/#]*)', 1)
        ELSE format END AS source,
    outcome, sum(records)::HUGEINT AS records
FROM (
    UNPIVOT (
        SELECT
            batch.kind, batch.format, batch.stream, batch.received, batch.landed, batch.duplicates, batch.superseded, batch.conflicts,
            batch.rejected, batch.skewed, coalesce(claim.events, 0) AS claimed
        FROM raw.batch AS batch LEFT JOIN raw.claim AS claim USING (batch_no) -- NULL: nobody claimed anything
    )
    ON received, landed, duplicates, superseded, conflicts, rejected, skewed, claimed INTO NAME outcome VALUE records
) AS counted
GROUP BY ALL;
COMMENT ON VIEW export.ingest_totals IS 'records by source and outcome; received = landed + duplicates + superseded + conflicts + rejected';

CREATE OR REPLACE VIEW export.rejections AS
SELECT
    kind,
    CASE WHEN regexp_matches(stream, '^(kafka|http|prometheus|nvml):') THEN regexp_extract(stream, '^[a-z]+:([^/#]*)', 1)
        ELSE format END AS source,
    reason, count(*) AS records, count(replayed_at) AS replayed
FROM raw.rejection
GROUP BY ALL;
COMMENT ON VIEW export.rejections IS 'records that were not landed, by source and reason';
