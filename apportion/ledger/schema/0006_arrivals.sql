-- How records arrive while `serve` runs: batches that several streams share, requests that may be repeated, collectors.
CREATE TABLE raw.batch_part (
    batch_no        INTEGER NOT NULL,
    stream          VARCHAR NOT NULL,
    position_start  BIGINT NOT NULL,
    position_end    BIGINT NOT NULL,
    received        BIGINT NOT NULL,
    landed          BIGINT NOT NULL,
    duplicates      BIGINT NOT NULL,
    superseded      BIGINT NOT NULL,
    conflicts       BIGINT NOT NULL,
    rejected        BIGINT NOT NULL,
    CHECK (received = landed + duplicates + superseded + conflicts + rejected)
);
COMMENT ON TABLE raw.batch_part IS 'whose records a shared batch holds: one row per run of a stream (Kafka partition) or per request';
COMMENT ON COLUMN raw.batch_part.position_start IS 'Kafka offset, or bytes of every body sent to the stream, before the first record';

CREATE TABLE raw.request (
    request_key  VARCHAR PRIMARY KEY,
    stream       VARCHAR NOT NULL,
    digest       VARCHAR NOT NULL,
    answered_at  TIMESTAMP NOT NULL,
    answer       VARCHAR NOT NULL
);
COMMENT ON TABLE raw.request IS 'requests with an idempotency key, and what they were answered: committed with their records, kept for a bounded time';
COMMENT ON COLUMN raw.request.digest IS 'SHA-256 of the body, hexadecimal: the same key with another body is an error of the sender';

CREATE TABLE raw.stream_gap (
    stream         VARCHAR NOT NULL,
    position_from  BIGINT NOT NULL,
    position_to    BIGINT NOT NULL,
    reason         VARCHAR NOT NULL,
    noticed_at     TIMESTAMP NOT NULL
);
COMMENT ON TABLE raw.stream_gap IS 'records that were gone from their source before they could be read, [from, to): lost to retention, or unreadable there';

CREATE TABLE raw.collector (
    name             VARCHAR PRIMARY KEY,
    collector        VARCHAR NOT NULL,
    state            VARCHAR NOT NULL,
    since            TIMESTAMP NOT NULL,
    failures         BIGINT NOT NULL,
    last_error       VARCHAR NOT NULL,
    last_success_at  TIMESTAMP,
    lag_records      BIGINT,
    notes            VARCHAR NOT NULL
);
COMMENT ON TABLE raw.collector IS 'each configured source while it is served: running | failing | stopped, since when and why';
COMMENT ON COLUMN raw.collector.failures IS 'since the ledger began; never goes down';
COMMENT ON COLUMN raw.collector.lag_records IS 'records waiting at the source when this was written; NULL is unknown';

CREATE TABLE raw.http_response (endpoint VARCHAR NOT NULL, code SMALLINT NOT NULL, responses BIGINT NOT NULL, PRIMARY KEY (endpoint, code));
COMMENT ON TABLE raw.http_response IS 'answers of the HTTP side since the ledger began, by endpoint and status code';

CREATE VIEW export.collectors AS
SELECT name, collector, state, since, failures, last_error, last_success_at, lag_records, notes FROM raw.collector;
COMMENT ON VIEW export.collectors IS 'each configured source: running | failing | stopped, since when and why';

CREATE VIEW export.stream_gaps AS
SELECT stream, position_from, position_to, reason, noticed_at FROM raw.stream_gap;
COMMENT ON VIEW export.stream_gaps IS 'records that were gone from their source before they could be read';

-- Who delivered: the configured source of a topic or of requests; of files the format, since their streams are named by path.
CREATE OR REPLACE VIEW export.ingest_totals AS
SELECT
    kind,
    CASE WHEN stream LIKE 'kafka:%' OR stream LIKE 'http:%' THEN regexp_extract(stream, '^[a-z]+:([^/#]*)', 1) ELSE format END AS source,
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
    CASE WHEN stream LIKE 'kafka:%' OR stream LIKE 'http:%' THEN regexp_extract(stream, '^[a-z]+:([^/#]*)', 1) ELSE format END AS source,
    reason, count(*) AS records, count(replayed_at) AS replayed
FROM raw.rejection
GROUP BY ALL;
COMMENT ON VIEW export.rejections IS 'records that were not landed, by source and reason';
