-- What arrived: one writer, ingest. Times are naive UTC. `_no` columns are surrogate integers of dictionaries;
-- `_id` columns are the text that people use.
CREATE SCHEMA raw;

CREATE TABLE raw.batch (
    batch_no        INTEGER PRIMARY KEY,
    kind            VARCHAR NOT NULL,   -- usage | gpu
    format          VARCHAR NOT NULL,
    stream          VARCHAR NOT NULL,
    position_start  BIGINT NOT NULL,
    position_end    BIGINT NOT NULL,
    ingested_at     TIMESTAMP NOT NULL,
    received        BIGINT NOT NULL,
    landed          BIGINT NOT NULL,
    duplicates      BIGINT NOT NULL,
    superseded      BIGINT NOT NULL,
    conflicts       BIGINT NOT NULL,
    rejected        BIGINT NOT NULL,
    skewed          BIGINT NOT NULL,
    dropped_tags    BIGINT NOT NULL,
    CHECK (received = landed + duplicates + superseded + conflicts + rejected)
);
COMMENT ON TABLE raw.batch IS 'one row per committed slice of a stream; received = landed + duplicates + superseded + conflicts + rejected';
COMMENT ON COLUMN raw.batch.position_start IS 'bytes (rows for Parquet) of the decompressed stream before the first record';
COMMENT ON COLUMN raw.batch.skewed IS 'events up to a day ahead of the clock, placed at arrival time';
COMMENT ON COLUMN raw.batch.dropped_tags IS 'tag keys not on the allow-list, dropped';

CREATE TABLE raw.stream_position (
    stream       VARCHAR PRIMARY KEY,
    position     BIGINT NOT NULL,
    records      BIGINT NOT NULL,
    evidence     VARCHAR NOT NULL,
    updated_at   TIMESTAMP NOT NULL
);
COMMENT ON TABLE raw.stream_position IS 'how far each stream has been read; committed with the rows it delivered';
COMMENT ON COLUMN raw.stream_position.position IS 'bytes (rows for Parquet) of the decompressed stream already committed';
COMMENT ON COLUMN raw.stream_position.records IS 'records before position, blank lines not counted';
COMMENT ON COLUMN raw.stream_position.evidence IS 'JSON: what the collector compares to see that the stream is still the same one';

CREATE TABLE raw.source (source_no SMALLINT PRIMARY KEY, source VARCHAR NOT NULL UNIQUE);
COMMENT ON TABLE raw.source IS 'dictionary: who reported';

CREATE TABLE raw.caller (
    caller_no  INTEGER PRIMARY KEY,
    caller     VARCHAR NOT NULL UNIQUE,
    source     VARCHAR NOT NULL,
    principal  VARCHAR NOT NULL,
    namespace  VARCHAR NOT NULL,
    tags       VARCHAR NOT NULL
);
COMMENT ON TABLE raw.caller IS 'dictionary: who a request said it was; 0 is nobody (system lines)';
COMMENT ON COLUMN raw.caller.caller IS 'compact JSON of [source, principal, namespace, {allow-listed tags, sorted}]; its UTF-8 order breaks ties';
COMMENT ON COLUMN raw.caller.tags IS 'compact JSON object, keys sorted';
INSERT INTO raw.caller VALUES (0, '', '', '', '', '{}');

CREATE TABLE raw.series (
    series_no      INTEGER PRIMARY KEY,
    source_no      SMALLINT NOT NULL,
    model_no       INTEGER NOT NULL,
    caller_no      INTEGER NOT NULL,
    provider       VARCHAR NOT NULL,
    cluster        VARCHAR NOT NULL,
    deployment     VARCHAR NOT NULL,
    replica        VARCHAR NOT NULL,
    status         VARCHAR NOT NULL,
    usage_quality  VARCHAR NOT NULL,
    tier           VARCHAR NOT NULL,
    language       VARCHAR NOT NULL,
    region         VARCHAR NOT NULL
);
COMMENT ON TABLE raw.series IS 'dictionary: every distinct combination of an event''s dimensions, after defaults; absent is an empty string';

CREATE TABLE raw.usage_event (
    source_no              SMALLINT NOT NULL,
    event_id               VARCHAR NOT NULL,
    occurred_at            TIMESTAMP NOT NULL,
    series_no              INTEGER NOT NULL,
    revision               INTEGER NOT NULL,
    trace_id               VARCHAR,
    session_id             VARCHAR,
    uncached_input_tokens  BIGINT NOT NULL,
    cache_read_tokens      BIGINT NOT NULL,
    cache_write_tokens     BIGINT NOT NULL,
    output_tokens          BIGINT NOT NULL,
    reasoning_tokens       BIGINT NOT NULL,
    requests               INTEGER NOT NULL,
    ttft_us                BIGINT,
    duration_us            BIGINT,
    queue_us               BIGINT,
    batch_no               INTEGER NOT NULL
);
COMMENT ON TABLE raw.usage_event IS 'grain: source_no, event_id (one live revision each, exact within any two hours)';
COMMENT ON COLUMN raw.usage_event.ttft_us IS 'microseconds; NULL is unknown, never 0';

CREATE TABLE raw.superseded_event AS SELECT * FROM raw.usage_event;
COMMENT ON TABLE raw.superseded_event IS 'lower revisions of events, kept as history; never metered';

CREATE TABLE raw.skewed_event (
    source_no    SMALLINT NOT NULL,
    event_id     VARCHAR NOT NULL,
    reported_at  TIMESTAMP NOT NULL,
    occurred_at  TIMESTAMP NOT NULL
);
COMMENT ON TABLE raw.skewed_event IS 'events whose clock ran ahead: the time they claimed, and the arrival time they were placed at';

CREATE TABLE raw.gpu_device (device_no INTEGER PRIMARY KEY, gpu_uuid VARCHAR NOT NULL, mig_profile VARCHAR NOT NULL, UNIQUE (gpu_uuid, mig_profile));
COMMENT ON TABLE raw.gpu_device IS 'dictionary: physical GPUs and MIG slices';

CREATE TABLE raw.gpu_series (
    gpu_series_no  INTEGER PRIMARY KEY,
    device_no      INTEGER NOT NULL,
    gpu            VARCHAR NOT NULL,
    cluster        VARCHAR NOT NULL,
    node           VARCHAR NOT NULL,
    deployment     VARCHAR NOT NULL,
    namespace      VARCHAR NOT NULL,
    pod            VARCHAR NOT NULL,
    container      VARCHAR NOT NULL
);
COMMENT ON TABLE raw.gpu_series IS 'dictionary: where a device was seen';

CREATE TABLE raw.gpu_sample (
    sampled_at         TIMESTAMP NOT NULL,
    device_no          INTEGER NOT NULL,
    gpu_series_no      INTEGER NOT NULL,
    active_ppm         INTEGER,
    sm_active_ppm      INTEGER,
    tensor_active_ppm  INTEGER,
    dram_active_ppm    INTEGER,
    memory_used_bytes  BIGINT,
    power_milliwatts   BIGINT,
    energy_millijoules BIGINT,
    batch_no           INTEGER NOT NULL
);
COMMENT ON TABLE raw.gpu_sample IS 'grain: device_no, sampled_at';
COMMENT ON COLUMN raw.gpu_sample.active_ppm IS 'parts per million of the time any kernel ran; half-even from the decimal text; NULL is unknown';
COMMENT ON COLUMN raw.gpu_sample.energy_millijoules IS 'cumulative counter of the device';

CREATE TABLE raw.rejection (
    rejection_no  BIGINT NOT NULL,
    batch_no      INTEGER NOT NULL,
    kind          VARCHAR NOT NULL,
    format        VARCHAR NOT NULL,
    stream        VARCHAR NOT NULL,
    source        VARCHAR NOT NULL,
    record        BIGINT NOT NULL,
    line          BIGINT NOT NULL,
    reason        VARCHAR NOT NULL,
    detail        VARCHAR NOT NULL,
    digest        VARCHAR NOT NULL,
    bytes         BLOB,
    rejected_at   TIMESTAMP NOT NULL,
    replayed_at   TIMESTAMP
);
COMMENT ON TABLE raw.rejection IS 'every record that was not landed: why, where from, and its bytes until they expire';
COMMENT ON COLUMN raw.rejection.record IS 'number in the stream, from 1; headers and blank lines do not count';
COMMENT ON COLUMN raw.rejection.line IS 'line of the stream, from 1; the row for Parquet, the element for JSON arrays';
COMMENT ON COLUMN raw.rejection.reason IS 'bounded vocabulary; `conflict` is the same id and revision with other content';
COMMENT ON COLUMN raw.rejection.digest IS 'SHA-256 of the record''s bytes, hexadecimal';
COMMENT ON COLUMN raw.rejection.bytes IS 'at most 64 KiB, at most 30 days';

CREATE TABLE raw.dirty_hour (charge_period_start TIMESTAMP PRIMARY KEY, marked_at TIMESTAMP NOT NULL);
COMMENT ON TABLE raw.dirty_hour IS 'hours whose events or samples changed since they were metered';
