-- What callers write about who is to pay is not believed; how often they do is counted beside the batches.
CREATE TABLE raw.claim (batch_no INTEGER PRIMARY KEY, events BIGINT NOT NULL);
COMMENT ON TABLE raw.claim IS 'landed events of a batch whose caller wrote in the request who is to pay; batches without any have no row';

CREATE OR REPLACE VIEW export.ingest_totals AS
SELECT
    kind,
    CASE WHEN stream LIKE 'kafka:%' OR stream LIKE 'http:%' THEN regexp_extract(stream, '^[a-z]+:([^/#]*)', 1) ELSE format END AS source,
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
