-- What engines counted between readings on either side of an hour: nobody knows in which of the two it was.
ALTER TABLE metering.engine_usage_hourly ADD COLUMN border_prompt_tokens BIGINT;
ALTER TABLE metering.engine_usage_hourly ADD COLUMN border_cache_read_tokens BIGINT;
ALTER TABLE metering.engine_usage_hourly ADD COLUMN border_output_tokens BIGINT;
ALTER TABLE metering.engine_usage_hourly ADD COLUMN beyond_prompt_tokens BIGINT;
ALTER TABLE metering.engine_usage_hourly ADD COLUMN beyond_output_tokens BIGINT;
COMMENT ON COLUMN metering.engine_usage_hourly.border_prompt_tokens IS 'of prompt_tokens, those between readings on either side of a border of the hour, no further apart than a sample holds: they may be of the hour beside it';
COMMENT ON COLUMN metering.engine_usage_hourly.border_cache_read_tokens IS 'of cache_read_tokens, alike';
COMMENT ON COLUMN metering.engine_usage_hourly.border_output_tokens IS 'of output_tokens, alike';
COMMENT ON COLUMN metering.engine_usage_hourly.beyond_prompt_tokens IS 'the other part of what grew between such readings, which is in the hours beside this one and may be of this one';
COMMENT ON COLUMN metering.engine_usage_hourly.beyond_output_tokens IS 'alike';

ALTER TABLE metering.reconciliation_hourly ADD COLUMN border_input_tokens BIGINT DEFAULT 0;
ALTER TABLE metering.reconciliation_hourly ADD COLUMN border_output_tokens BIGINT DEFAULT 0;
COMMENT ON COLUMN metering.reconciliation_hourly.border_input_tokens IS 'of engine_input_tokens, those that may be of the hour beside it: they prove no loss';
COMMENT ON COLUMN metering.reconciliation_hourly.border_output_tokens IS 'of engine_output_tokens, alike';

CREATE OR REPLACE VIEW export.reconciliation AS
SELECT
    compared.charge_period_start, pool.pool_id, deployment.deployment_id, model.model_id, compared.engines, compared.observed_us,
    compared.engine_input_tokens, compared.engine_cache_read_tokens, compared.engine_output_tokens, compared.engine_requests,
    compared.engine_aborted_requests, compared.logged_input_tokens, compared.logged_cache_read_tokens, compared.logged_output_tokens,
    compared.logged_requests, compared.crossing_input_tokens, compared.crossing_output_tokens,
    compared.unlogged_uncached_input_tokens,
    compared.unlogged_cache_read_tokens, compared.unlogged_output_tokens, compared.cause, compared.border_input_tokens,
    compared.border_output_tokens
FROM metering.reconciliation_hourly AS compared
JOIN book.pool_key AS pool USING (pool_no)
JOIN book.deployment_key AS deployment USING (deployment_no)
JOIN book.model AS model USING (model_no);
COMMENT ON VIEW export.reconciliation IS 'what engines counted each hour against what logs say, and the likely cause of the difference; NULL is unknown';
