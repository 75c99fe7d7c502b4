-- What serving engines say of themselves: cumulative counters and gauges, one row per engine and time. NULL is unknown, never 0.
CREATE TABLE raw.engine (
    engine_no  INTEGER PRIMARY KEY,
    instance   VARCHAR NOT NULL,
    engine     VARCHAR NOT NULL,
    model_no   INTEGER NOT NULL,
    UNIQUE (instance, engine, model_no)
);
COMMENT ON TABLE raw.engine IS 'dictionary: what counts by itself; counters are differenced per engine before any sum';
COMMENT ON COLUMN raw.engine.instance IS 'what exposes the counters, such as host and port';
COMMENT ON COLUMN raw.engine.engine IS 'index of an engine or data-parallel rank behind one instance; empty where there is one only';
COMMENT ON COLUMN raw.engine.model_no IS 'book.model, the name as served; 0 where the engine does not tell';

CREATE TABLE raw.engine_series (
    engine_series_no  INTEGER PRIMARY KEY,
    engine_no         INTEGER NOT NULL,
    software          VARCHAR NOT NULL,
    cluster           VARCHAR NOT NULL,
    node              VARCHAR NOT NULL,
    deployment        VARCHAR NOT NULL,
    namespace         VARCHAR NOT NULL,
    pod               VARCHAR NOT NULL,
    replica           VARCHAR NOT NULL
);
COMMENT ON TABLE raw.engine_series IS 'dictionary: where an engine was seen, and which software it is; empty where not told';

CREATE TABLE raw.engine_sample (
    sampled_at         TIMESTAMP NOT NULL,
    engine_no          INTEGER NOT NULL,
    engine_series_no   INTEGER NOT NULL,
    started_at         TIMESTAMP,
    prompt_tokens      BIGINT,
    cache_read_tokens  BIGINT,
    output_tokens      BIGINT,
    requests           BIGINT,
    aborted_requests   BIGINT,
    prefill_us         BIGINT,
    decode_us          BIGINT,
    idle_us            BIGINT,
    estimated_flops    HUGEINT,
    estimated_bytes    HUGEINT,
    requests_running   INTEGER,
    requests_waiting   INTEGER,
    kv_cache_ppm       INTEGER,
    batch_no           INTEGER NOT NULL
);
COMMENT ON TABLE raw.engine_sample IS 'grain: engine_no, sampled_at';
COMMENT ON COLUMN raw.engine_sample.started_at IS 'when the process, or its counters, began at zero';
COMMENT ON COLUMN raw.engine_sample.prompt_tokens IS 'cumulative counter of all prompt tokens, those from a cache included';
COMMENT ON COLUMN raw.engine_sample.cache_read_tokens IS 'cumulative counter of the prompt tokens that came from a cache';
COMMENT ON COLUMN raw.engine_sample.output_tokens IS 'cumulative counter';
COMMENT ON COLUMN raw.engine_sample.requests IS 'cumulative counter of finished requests';
COMMENT ON COLUMN raw.engine_sample.aborted_requests IS 'cumulative counter';
COMMENT ON COLUMN raw.engine_sample.prefill_us IS 'cumulative counter of time spent on prompts; half-even from the decimal text of seconds, as decode_us and idle_us';
COMMENT ON COLUMN raw.engine_sample.estimated_flops IS 'cumulative counter, at most 1e27, so that a day of it interpolates in a HUGEINT';
COMMENT ON COLUMN raw.engine_sample.estimated_bytes IS 'cumulative counter of bytes read and written, bounded alike';
COMMENT ON COLUMN raw.engine_sample.kv_cache_ppm IS 'gauge: used part of the KV cache in parts per million; half-even from the decimal text';
