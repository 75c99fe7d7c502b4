-- What engines counted against what logs explain, hour by hour; what no log explains is consumption of nobody.
ALTER TABLE book.policy ADD COLUMN unlogged_tolerance_ppm INTEGER DEFAULT 10000;
ALTER TABLE book.policy ALTER COLUMN unlogged_tolerance_ppm SET NOT NULL;
COMMENT ON COLUMN book.policy.unlogged_tolerance_ppm IS 'what engines may be ahead of the logs, in parts per million of their count, before it is somebody''s';

CREATE TABLE metering.engine_usage_hourly (
    charge_period_start  TIMESTAMP NOT NULL,
    pool_no              INTEGER NOT NULL,
    deployment_no        INTEGER NOT NULL,
    model_no             INTEGER NOT NULL,
    engines              BIGINT NOT NULL,
    observed_us          BIGINT NOT NULL,
    prompt_tokens        BIGINT,
    cache_read_tokens    BIGINT,
    output_tokens        BIGINT,
    requests             BIGINT,
    aborted_requests     BIGINT,
    prefill_us           BIGINT,
    decode_us            BIGINT,
    idle_us              BIGINT,
    cache_split_known    BOOLEAN NOT NULL,
    resets               BIGINT NOT NULL
);
COMMENT ON TABLE metering.engine_usage_hourly IS 'grain: charge_period_start, pool_no, deployment_no, model_no; what engines counted; deployment 0 is engines that none takes';
COMMENT ON COLUMN metering.engine_usage_hourly.model_no IS 'the model that the served name stands for at the start of the hour; 0 where the engine does not tell';
COMMENT ON COLUMN metering.engine_usage_hourly.engines IS 'engines of which some counter is known for a part of the hour';
COMMENT ON COLUMN metering.engine_usage_hourly.observed_us IS 'engine-microseconds between readings of each engine''s best known counter';
COMMENT ON COLUMN metering.engine_usage_hourly.prompt_tokens IS 'all prompt tokens, cached ones included, of the engines that tell; NULL where none does, as in all counters here';
COMMENT ON COLUMN metering.engine_usage_hourly.cache_split_known IS 'whether all that is known of prompt tokens is known of cache reads too; else cache_read_tokens is only a part';
COMMENT ON COLUMN metering.engine_usage_hourly.resets IS 'how often counters of an engine were seen to begin again';

CREATE TABLE metering.reconciliation_hourly (
    charge_period_start              TIMESTAMP NOT NULL,
    pool_no                          INTEGER NOT NULL,
    deployment_no                    INTEGER NOT NULL,
    model_no                         INTEGER NOT NULL,
    engines                          BIGINT NOT NULL,
    observed_us                      BIGINT NOT NULL,
    engine_input_tokens              BIGINT,
    engine_cache_read_tokens         BIGINT,
    engine_output_tokens             BIGINT,
    engine_requests                  BIGINT,
    engine_aborted_requests          BIGINT,
    logged_input_tokens              BIGINT NOT NULL,
    logged_cache_read_tokens         BIGINT NOT NULL,
    logged_output_tokens             BIGINT NOT NULL,
    logged_requests                  BIGINT NOT NULL,
    crossing_input_tokens            BIGINT NOT NULL,
    crossing_output_tokens           BIGINT NOT NULL,
    unlogged_uncached_input_tokens   BIGINT NOT NULL,
    unlogged_cache_read_tokens       BIGINT NOT NULL,
    unlogged_output_tokens           BIGINT NOT NULL,
    cause                            VARCHAR NOT NULL
);
COMMENT ON TABLE metering.reconciliation_hourly IS 'grain: charge_period_start, pool_no, deployment_no; only hours that engines tell of; deployment 0 is engines that none takes';
COMMENT ON COLUMN metering.reconciliation_hourly.model_no IS 'the only model of the engines, 0 where they serve several or do not tell';
COMMENT ON COLUMN metering.reconciliation_hourly.engine_input_tokens IS 'NULL is unknown, never 0, as in every engine_ column';
COMMENT ON COLUMN metering.reconciliation_hourly.logged_input_tokens IS 'uncached input, cache reads and cache writes of requests that ended in the hour';
COMMENT ON COLUMN metering.reconciliation_hourly.logged_output_tokens IS 'output and reasoning; those of a request are spread evenly over the time it took';
COMMENT ON COLUMN metering.reconciliation_hourly.crossing_input_tokens IS 'input of requests that ran in the hour and ended in a later one: the engine may have read their prompts already';
COMMENT ON COLUMN metering.reconciliation_hourly.crossing_output_tokens IS 'output of requests that ended in the hour, spread over earlier ones: an engine that counts a request as it ends has it here';
COMMENT ON COLUMN metering.reconciliation_hourly.unlogged_output_tokens IS 'what the engines are ahead by, 0 within the tolerance of the policy; consumption of nobody, as the other unlogged kinds';
COMMENT ON COLUMN metering.reconciliation_hourly.cause IS 'agreed | crossing | no_logs | missing_usage | aborted | failed | unlogged | telemetry_gap | engine_behind | no_telemetry | unplaced';

CREATE VIEW metering.consumption_hourly AS
SELECT
    charge_period_start, pool_no, deployment_no, provider, model_no, caller_no, tier,
    uncached_input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens
FROM metering.placed_usage_hourly
UNION ALL
SELECT
    charge_period_start, pool_no, deployment_no, 'self', model_no, 0, '',
    unlogged_uncached_input_tokens, unlogged_cache_read_tokens, 0, unlogged_output_tokens, 0
FROM metering.reconciliation_hourly
WHERE unlogged_uncached_input_tokens > 0 OR unlogged_cache_read_tokens > 0 OR unlogged_output_tokens > 0;
COMMENT ON VIEW metering.consumption_hourly IS 'grain: charge_period_start, deployment_no, provider, model_no, caller_no, tier; logged usage, and unlogged tokens as caller 0, who is nobody';

CREATE VIEW export.reconciliation AS
SELECT
    compared.charge_period_start, pool.pool_id, deployment.deployment_id, model.model_id, compared.engines, compared.observed_us,
    compared.engine_input_tokens, compared.engine_cache_read_tokens, compared.engine_output_tokens, compared.engine_requests,
    compared.engine_aborted_requests, compared.logged_input_tokens, compared.logged_cache_read_tokens, compared.logged_output_tokens,
    compared.logged_requests, compared.crossing_input_tokens, compared.crossing_output_tokens,
    compared.unlogged_uncached_input_tokens,
    compared.unlogged_cache_read_tokens, compared.unlogged_output_tokens, compared.cause
FROM metering.reconciliation_hourly AS compared
JOIN book.pool_key AS pool USING (pool_no)
JOIN book.deployment_key AS deployment USING (deployment_no)
JOIN book.model AS model USING (model_no);
COMMENT ON VIEW export.reconciliation IS 'what engines counted each hour against what logs say, and the likely cause of the difference; NULL is unknown';
