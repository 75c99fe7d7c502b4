-- How a workload is split into prefill and decode: every rung of the ladder for every hour, and the coefficients of those that need some.
ALTER TABLE book.deployment ADD COLUMN phase_split VARCHAR DEFAULT 'weights';
ALTER TABLE book.deployment ADD COLUMN prefill_tokens_per_1000_s BIGINT;
ALTER TABLE book.deployment ADD COLUMN decode_tokens_per_1000_s BIGINT;
ALTER TABLE book.deployment ADD COLUMN cache_read_tokens_per_1000_s BIGINT;
ALTER TABLE book.deployment ADD COLUMN capacity_source VARCHAR DEFAULT 'declared';
ALTER TABLE book.deployment ALTER COLUMN phase_split SET NOT NULL;
ALTER TABLE book.deployment ALTER COLUMN capacity_source SET NOT NULL;
COMMENT ON COLUMN book.deployment.phase_split IS 'auto | measured | regression | roofline | throughput | weights | blended; the policy''s unless the deployment says otherwise';
COMMENT ON COLUMN book.deployment.prefill_tokens_per_1000_s IS 'known speed of one GPU; NULL: not declared';
COMMENT ON COLUMN book.deployment.cache_read_tokens_per_1000_s IS 'NULL: cache reads count in prefill_tokens_per_1000_s as any other prompt token';
COMMENT ON COLUMN book.deployment.capacity_source IS 'declared | load_tested | learned: how capacity_per_gpu_hour is known';

ALTER TABLE metering.engine_usage_hourly ADD COLUMN phase_observed_us BIGINT;
COMMENT ON COLUMN metering.engine_usage_hourly.phase_observed_us IS 'engine-microseconds between readings of engines that tell both prefill and decode time; NULL where none does';
ALTER TABLE metering.deployment_cost_hourly ADD COLUMN capacity_source VARCHAR DEFAULT '';
COMMENT ON COLUMN metering.deployment_cost_hourly.capacity_source IS 'declared | load_tested | learned; empty for deployment 0';

CREATE TABLE metering.phase_coefficient (
    deployment_no      INTEGER NOT NULL,
    model_no           INTEGER NOT NULL,
    method             VARCHAR NOT NULL,
    effective_from     TIMESTAMP NOT NULL,
    effective_to       TIMESTAMP NOT NULL,
    uncached_input_ps  BIGINT NOT NULL,
    cache_read_ps      BIGINT NOT NULL,
    cache_write_ps     BIGINT NOT NULL,
    output_ps          BIGINT NOT NULL,
    reasoning_ps       BIGINT NOT NULL,
    context_as         BIGINT NOT NULL,
    confidence         metering.confidence NOT NULL,
    inputs             VARCHAR NOT NULL,
    failure            VARCHAR NOT NULL
);
COMMENT ON TABLE metering.phase_coefficient IS 'GPU time that a token takes, by method and range; of one deployment, model and method the first in an hour counts; an empty range is history';
COMMENT ON COLUMN metering.phase_coefficient.model_no IS '0 is every model that has no row of its own';
COMMENT ON COLUMN metering.phase_coefficient.method IS 'regression/1 | roofline/1 | throughput/1';
COMMENT ON COLUMN metering.phase_coefficient.uncached_input_ps IS 'GPU-picoseconds per token, as all _ps';
COMMENT ON COLUMN metering.phase_coefficient.context_as IS 'GPU-attoseconds per decode token and token of its context';
COMMENT ON COLUMN metering.phase_coefficient.inputs IS 'JSON: what the coefficients were made from';
COMMENT ON COLUMN metering.phase_coefficient.failure IS 'why these are no coefficients, as a part of a sentence; empty where they can be used';

CREATE TABLE metering.model_usage_hourly (
    charge_period_start    TIMESTAMP NOT NULL,
    pool_no                INTEGER NOT NULL,
    deployment_no          INTEGER NOT NULL,
    model_no               INTEGER NOT NULL,
    uncached_input_tokens  BIGINT NOT NULL,
    cache_read_tokens      BIGINT NOT NULL,
    cache_write_tokens     BIGINT NOT NULL,
    output_tokens          BIGINT NOT NULL,
    reasoning_tokens       BIGINT NOT NULL,
    context_tokens         HUGEINT NOT NULL,
    prefill_weight         HUGEINT NOT NULL,
    decode_weight          HUGEINT NOT NULL,
    weight_max             HUGEINT NOT NULL
);
COMMENT ON TABLE metering.model_usage_hourly IS 'grain: charge_period_start, pool_no, deployment_no, model_no; what a deployment consumed by model, and what it weighs';
COMMENT ON COLUMN metering.model_usage_hourly.context_tokens IS 'sum over decode tokens of the tokens of context each was made with';
COMMENT ON COLUMN metering.model_usage_hourly.prefill_weight IS 'sum of tokens x weight x weight_scale of the prefill kinds';
COMMENT ON COLUMN metering.model_usage_hourly.weight_max IS 'largest weight of one kind on one row of usage';

CREATE TABLE metering.phase_method_hourly (
    charge_period_start  TIMESTAMP NOT NULL,
    pool_no              INTEGER NOT NULL,
    deployment_no        INTEGER NOT NULL,
    phase_method         VARCHAR NOT NULL,
    rung                 INTEGER NOT NULL,
    prefill_share        HUGEINT,
    decode_share         HUGEINT,
    confidence           metering.confidence NOT NULL,
    inputs               VARCHAR NOT NULL,
    failure              VARCHAR NOT NULL
);
COMMENT ON TABLE metering.phase_method_hourly IS 'grain: charge_period_start, pool_no, deployment_no, phase_method; every rung of the ladder, whichever was taken';
COMMENT ON COLUMN metering.phase_method_hourly.rung IS '1 is best: role, measured; 2 regression; 3 roofline; 4 throughput; 5 weights; 6 blended';
COMMENT ON COLUMN metering.phase_method_hourly.prefill_share IS 'in the unit of the method; 0 where the phase has no weighted tokens; NULL where the method failed';
COMMENT ON COLUMN metering.phase_method_hourly.confidence IS 'empty where the method failed';
COMMENT ON COLUMN metering.phase_method_hourly.inputs IS 'JSON: the numbers it used, or had';
COMMENT ON COLUMN metering.phase_method_hourly.failure IS 'why it cannot say, as a part of a sentence; empty where it can';
