-- What tells tokens apart beyond their kind: model, tier, context, adapter, phase of a deployment; and why GPU time stood idle.
ALTER TABLE book.policy ADD COLUMN context_weight BIGINT DEFAULT 0;
ALTER TABLE book.policy ALTER COLUMN context_weight SET NOT NULL;
ALTER TABLE book.policy ADD COLUMN tiers VARCHAR DEFAULT '[]';
ALTER TABLE book.policy ALTER COLUMN tiers SET NOT NULL;
COMMENT ON COLUMN book.policy.weight_scale IS 'weights of usage are integers: tokens x weight x model weight x tier weight x weight_scale, the scales of all three in one';
COMMENT ON COLUMN book.policy.context_weight IS 'of one decoded token and one token of its context, scaled as the weights of the kinds are';
COMMENT ON COLUMN book.policy.tiers IS 'JSON list of {tier, weight}, integers of one scale, the empty tier for all others; empty where no tier weighs differently';

CREATE TABLE book.model_weight (model_no INTEGER NOT NULL, weight BIGINT NOT NULL, effective_from TIMESTAMP NOT NULL, effective_to TIMESTAMP NOT NULL);
COMMENT ON TABLE book.model_weight IS 'what a token of a model weighs, integers of one scale, model 0 for all others; empty where no model weighs differently';

CREATE TABLE book.model_adapter (model_no INTEGER NOT NULL, pattern VARCHAR NOT NULL, effective_from TIMESTAMP NOT NULL, effective_to TIMESTAMP NOT NULL);
COMMENT ON TABLE book.model_adapter IS 'LIKE patterns with ESCAPE ''\'' of names that adapters of a model are reported by';

CREATE TABLE book.downtime (deployment_no INTEGER NOT NULL, gpus INTEGER NOT NULL, cause VARCHAR NOT NULL, effective_from TIMESTAMP NOT NULL, effective_to TIMESTAMP NOT NULL);
COMMENT ON TABLE book.downtime IS 'GPUs that a deployment held and could not serve on';
COMMENT ON COLUMN book.downtime.cause IS 'draining | loading | lost';

CREATE TABLE metering.served_model (deployment_no INTEGER NOT NULL, model_no INTEGER NOT NULL, effective_from TIMESTAMP NOT NULL, effective_to TIMESTAMP NOT NULL);
COMMENT ON TABLE metering.served_model IS 'grain: deployment_no, model_no, effective_from; what deployments serve, adapters of their models with them; rebuilt whole for every span';

CREATE TABLE metering.token_factor (model_no INTEGER NOT NULL, tier VARCHAR NOT NULL, factor BIGINT NOT NULL);
COMMENT ON TABLE metering.token_factor IS 'grain: model_no, tier; what every token of it weighs beside its kind; empty where nothing weighs differently; rebuilt whole for every span';

CREATE TABLE metering.engine_place_hourly (
    charge_period_start  TIMESTAMP NOT NULL,
    engine_series_no     INTEGER NOT NULL,
    pool_no              INTEGER NOT NULL,
    deployment_no        INTEGER NOT NULL,
    model_no             INTEGER NOT NULL
);
COMMENT ON TABLE metering.engine_place_hourly IS 'grain: charge_period_start, engine_series_no; the deployment that an engine belongs to; deployment 0 is none';
COMMENT ON COLUMN metering.engine_place_hourly.model_no IS 'the model that the served name stands for at the start of the hour';

CREATE TABLE metering.engine_state_hourly (
    charge_period_start  TIMESTAMP NOT NULL,
    pool_no              INTEGER NOT NULL,
    deployment_no        INTEGER NOT NULL,
    empty_us             BIGINT NOT NULL,
    running_us           BIGINT NOT NULL
);
COMMENT ON TABLE metering.engine_state_hourly IS 'grain: charge_period_start, pool_no, deployment_no; only where engines tell how many requests they run';
COMMENT ON COLUMN metering.engine_state_hourly.empty_us IS 'engine-microseconds without a running request; a reading holds as a GPU sample does';
COMMENT ON COLUMN metering.engine_state_hourly.running_us IS 'engine-microseconds with one or more';

CREATE TABLE metering.prefill_place_hourly (
    charge_period_start    TIMESTAMP NOT NULL,
    pool_no                INTEGER NOT NULL,
    deployment_no          INTEGER NOT NULL,
    model_no               INTEGER NOT NULL,
    prefill_pool_no        INTEGER NOT NULL,
    prefill_deployment_no  INTEGER NOT NULL
);
COMMENT ON TABLE metering.prefill_place_hourly IS 'grain: charge_period_start, pool_no, deployment_no, model_no; where prompts of requests that ran there were read; a deployment of role prefill reads its own';

CREATE TABLE metering.downtime_hourly (
    charge_period_start  TIMESTAMP NOT NULL,
    pool_no              INTEGER NOT NULL,
    deployment_no        INTEGER NOT NULL,
    cause                VARCHAR NOT NULL,
    down_us              BIGINT NOT NULL,
    capacity_token_us    HUGEINT NOT NULL
);
COMMENT ON TABLE metering.downtime_hourly IS 'grain: charge_period_start, pool_no, deployment_no, cause; paid GPU-microseconds on which nothing could be served';
COMMENT ON COLUMN metering.downtime_hourly.capacity_token_us IS 'what of the deployment''s capacity_token_us fell away';

CREATE TABLE metering.idle_hourly (
    charge_period_start  TIMESTAMP NOT NULL,
    pool_no              INTEGER NOT NULL,
    deployment_no        INTEGER NOT NULL,
    cause                VARCHAR NOT NULL,
    idle_nano            BIGINT NOT NULL
);
COMMENT ON TABLE metering.idle_hourly IS 'grain: charge_period_start, pool_no, deployment_no, cause; the idle cost of deployment_hourly by cause, nothing that is 0';
COMMENT ON COLUMN metering.idle_hourly.cause IS 'below_capacity | below_saturation | draining | inactive | loading | lost | no_requests | unscheduled';
INSERT INTO metering.idle_hourly
SELECT charge_period_start, pool_no, deployment_no, idle_cause, idle_nano FROM metering.deployment_hourly WHERE idle_nano > 0;
COMMENT ON COLUMN metering.deployment_hourly.idle_cause IS 'the cause that utilization alone would give; idle_hourly has what downtime and engines tell';

ALTER TABLE metering.placed_usage_hourly ADD COLUMN output_context_tokens HUGEINT DEFAULT 0;
ALTER TABLE metering.placed_usage_hourly ADD COLUMN reasoning_context_tokens HUGEINT DEFAULT 0;
ALTER TABLE metering.placed_usage_hourly ALTER COLUMN output_context_tokens SET NOT NULL;
ALTER TABLE metering.placed_usage_hourly ALTER COLUMN reasoning_context_tokens SET NOT NULL;
COMMENT ON COLUMN metering.placed_usage_hourly.output_context_tokens IS 'sum over events of output tokens x the context they were decoded in: the prompt and half of what was decoded; each of both counts to 2147483647 at most; 0 in hours metered before it was added up';

CREATE OR REPLACE VIEW metering.consumption_hourly AS
SELECT
    usage.charge_period_start, usage.pool_no, usage.deployment_no, usage.provider, usage.model_no, usage.caller_no, usage.tier,
    CASE WHEN prefill_deployment_no IS NULL THEN uncached_input_tokens ELSE 0 END AS uncached_input_tokens,
    CASE WHEN prefill_deployment_no IS NULL THEN cache_read_tokens ELSE 0 END     AS cache_read_tokens,
    CASE WHEN prefill_deployment_no IS NULL THEN cache_write_tokens ELSE 0 END    AS cache_write_tokens,
    output_tokens, reasoning_tokens, output_context_tokens, reasoning_context_tokens
FROM metering.placed_usage_hourly AS usage
LEFT JOIN metering.prefill_place_hourly AS prefill USING (charge_period_start, pool_no, deployment_no, model_no) -- NULL: where the rest ran
UNION ALL
SELECT
    usage.charge_period_start, prefill.prefill_pool_no, prefill.prefill_deployment_no, usage.provider, usage.model_no, usage.caller_no,
    usage.tier, sum(uncached_input_tokens)::BIGINT, sum(cache_read_tokens)::BIGINT, sum(cache_write_tokens)::BIGINT, 0, 0, 0, 0
FROM metering.placed_usage_hourly AS usage
JOIN metering.prefill_place_hourly AS prefill USING (charge_period_start, pool_no, deployment_no, model_no)
WHERE uncached_input_tokens > 0 OR cache_read_tokens > 0 OR cache_write_tokens > 0
GROUP BY
    usage.charge_period_start, prefill.prefill_pool_no, prefill.prefill_deployment_no, usage.provider, usage.model_no, usage.caller_no,
    usage.tier
UNION ALL
SELECT
    charge_period_start, pool_no, deployment_no, 'self', model_no, 0, '',
    unlogged_uncached_input_tokens, unlogged_cache_read_tokens, 0, unlogged_output_tokens, 0, 0, 0
FROM metering.reconciliation_hourly
WHERE unlogged_uncached_input_tokens > 0 OR unlogged_cache_read_tokens > 0 OR unlogged_output_tokens > 0;
COMMENT ON VIEW metering.consumption_hourly IS 'logged usage by charge_period_start, deployment_no, provider, model_no, caller_no, tier, prompts where they were read, and unlogged tokens as caller 0, who is nobody; a token kind of it is in one row';
