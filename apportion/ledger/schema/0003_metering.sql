-- What each hour cost and which tokens caused it. Knows callers, never teams. One writer: metering.
CREATE SCHEMA metering;

-- Closed vocabularies, in the order of their texts: a number is cheaper to write and to group by than a text is.
CREATE TYPE metering.cost_kind AS ENUM ('adjustment', 'external', 'idle', 'overhead', 'unmeasured', 'workload');
CREATE TYPE metering.token_kind AS ENUM ('', 'cache_read', 'cache_write', 'output', 'reasoning', 'uncached_input');
CREATE TYPE metering.confidence AS ENUM ('', 'assumed', 'calibrated', 'measured', 'modelled');

CREATE TABLE metering.series_place (
    series_no       INTEGER NOT NULL,
    effective_from  TIMESTAMP NOT NULL,
    effective_to    TIMESTAMP NOT NULL,
    place_no        INTEGER NOT NULL,
    pool_no         INTEGER NOT NULL,
    deployment_no   INTEGER NOT NULL,
    provider        VARCHAR NOT NULL,
    model_no        INTEGER NOT NULL,
    caller_no       INTEGER NOT NULL,
    tier            VARCHAR NOT NULL
);
COMMENT ON TABLE metering.series_place IS 'grain: series_no, effective_from; where each series ran in the span metered last, rebuilt whole for every span';
COMMENT ON COLUMN metering.series_place.place_no IS 'numbers the distinct places of that span, for grouping';
COMMENT ON COLUMN metering.series_place.model_no IS 'the model that the reported name stands for at the start of the hour';
COMMENT ON COLUMN metering.series_place.deployment_no IS '0 where no deployment takes the series: unplaced, or external';

CREATE TABLE metering.placed_usage_hourly (
    charge_period_start    TIMESTAMP NOT NULL,
    pool_no                INTEGER NOT NULL,
    deployment_no          INTEGER NOT NULL,
    provider               VARCHAR NOT NULL,
    model_no               INTEGER NOT NULL,
    caller_no              INTEGER NOT NULL,
    tier                   VARCHAR NOT NULL,
    uncached_input_tokens  BIGINT NOT NULL,
    cache_read_tokens      BIGINT NOT NULL,
    cache_write_tokens     BIGINT NOT NULL,
    output_tokens          BIGINT NOT NULL,
    reasoning_tokens       BIGINT NOT NULL,
    requests               BIGINT NOT NULL,
    events                 BIGINT NOT NULL
);
COMMENT ON TABLE metering.placed_usage_hourly IS 'grain: charge_period_start, deployment_no, provider, model_no, caller_no, tier; deployment 0 of provider self is unplaced';

CREATE TABLE metering.origin_charge_hourly (
    charge_period_start  TIMESTAMP NOT NULL,
    pool_no              INTEGER NOT NULL,
    component            VARCHAR NOT NULL,
    paid_us              HUGEINT NOT NULL,
    effective_cost_nano  BIGINT NOT NULL
);
COMMENT ON TABLE metering.origin_charge_hourly IS 'grain: charge_period_start, pool_no, component; pool 0 carries monthly shared costs, component = their id';
COMMENT ON COLUMN metering.origin_charge_hourly.paid_us IS 'GPU-microseconds paid for';

CREATE TABLE metering.gpu_activity_hourly (
    charge_period_start  TIMESTAMP NOT NULL,
    pool_no              INTEGER NOT NULL,
    deployment_no        INTEGER NOT NULL,
    observed_us          BIGINT NOT NULL,
    active_ppm_us        HUGEINT NOT NULL
);
COMMENT ON TABLE metering.gpu_activity_hourly IS 'grain: charge_period_start, pool_no, deployment_no';
COMMENT ON COLUMN metering.gpu_activity_hourly.observed_us IS 'GPU-microseconds that samples with a known reading held';
COMMENT ON COLUMN metering.gpu_activity_hourly.active_ppm_us IS 'sum over samples of active ppm x microseconds held';

CREATE TABLE metering.deployment_cost_hourly (
    charge_period_start  TIMESTAMP NOT NULL,
    pool_no              INTEGER NOT NULL,
    deployment_no        INTEGER NOT NULL,
    paid_us              BIGINT NOT NULL,
    effective_cost_nano  BIGINT NOT NULL,
    utilization          VARCHAR NOT NULL,
    capacity_token_us    HUGEINT NOT NULL
);
COMMENT ON TABLE metering.deployment_cost_hourly IS 'grain: charge_period_start, pool_no, deployment_no; deployment 0 is GPU time of the pool that no deployment holds';
COMMENT ON COLUMN metering.deployment_cost_hourly.paid_us IS 'GPU-microseconds of the pool that the deployment holds';
COMMENT ON COLUMN metering.deployment_cost_hourly.utilization IS 'active | capacity | allocation as the hour finds it; empty for deployment 0';
COMMENT ON COLUMN metering.deployment_cost_hourly.capacity_token_us IS 'sum of capacity_per_gpu_hour x GPU-microseconds; 0 where no capacity is given';

CREATE TABLE metering.phase_share_hourly (
    charge_period_start  TIMESTAMP NOT NULL,
    pool_no              INTEGER NOT NULL,
    deployment_no        INTEGER NOT NULL,
    consumed_tokens      BIGINT NOT NULL,
    prefill_weight       HUGEINT NOT NULL,
    decode_weight        HUGEINT NOT NULL,
    weight_max           HUGEINT NOT NULL,
    prefill_share        HUGEINT NOT NULL,
    decode_share         HUGEINT NOT NULL,
    phase_method         VARCHAR NOT NULL,
    confidence           metering.confidence NOT NULL
);
COMMENT ON TABLE metering.phase_share_hourly IS 'grain: charge_period_start, pool_no, deployment_no; only where a deployment has usage';
COMMENT ON COLUMN metering.phase_share_hourly.prefill_weight IS 'sum of tokens x weight x weight_scale of the prefill kinds';
COMMENT ON COLUMN metering.phase_share_hourly.weight_max IS 'largest weight of one kind on one row of usage: says whether 64 bits are enough';
COMMENT ON COLUMN metering.phase_share_hourly.prefill_share IS 'what the workload is split by, in the unit of phase_method; 0 where the phase has no weighted tokens';

CREATE TABLE metering.deployment_hourly (
    charge_period_start  TIMESTAMP NOT NULL,
    pool_no              INTEGER NOT NULL,
    deployment_no        INTEGER NOT NULL,
    paid_us              BIGINT NOT NULL,
    effective_cost_nano  BIGINT NOT NULL,
    utilization          VARCHAR NOT NULL,
    observed_us          BIGINT NOT NULL,
    active_ppm_us        HUGEINT NOT NULL,
    low_coverage         BOOLEAN NOT NULL,
    prefill_weight       HUGEINT NOT NULL,
    decode_weight        HUGEINT NOT NULL,
    workload_nano        BIGINT NOT NULL,
    idle_nano            BIGINT NOT NULL,
    idle_cause           VARCHAR NOT NULL,
    unmeasured_nano      BIGINT NOT NULL,
    prefill_nano         BIGINT NOT NULL,
    decode_nano          BIGINT NOT NULL,
    unattributed_nano    BIGINT NOT NULL,
    allocation_method    VARCHAR NOT NULL,
    confidence           metering.confidence NOT NULL
);
COMMENT ON TABLE metering.deployment_hourly IS 'grain: charge_period_start, deployment_no, pool_no; deployment 0 is what no deployment uses';
COMMENT ON COLUMN metering.deployment_hourly.prefill_weight IS 'sum of weighted tokens x weight_scale of the prefill kinds';
COMMENT ON COLUMN metering.deployment_hourly.effective_cost_nano IS 'workload + idle + unmeasured; workload = prefill + decode + unattributed';

CREATE TABLE metering.charge_hourly (
    charge_period_start  TIMESTAMP NOT NULL,
    pool_no              INTEGER NOT NULL,
    deployment_no        INTEGER NOT NULL,
    provider             VARCHAR NOT NULL,
    model_no             INTEGER NOT NULL,
    caller_no            INTEGER NOT NULL,
    tier                 VARCHAR NOT NULL,
    cost_kind            metering.cost_kind NOT NULL,
    cause                VARCHAR NOT NULL,
    token_kind           metering.token_kind NOT NULL,
    consumed_tokens      BIGINT,
    effective_cost_nano  BIGINT,
    allocation_method    VARCHAR NOT NULL,
    confidence           metering.confidence NOT NULL
);
COMMENT ON TABLE metering.charge_hourly IS 'grain: charge_period_start, pool_no, deployment_no, provider, model_no, caller_no, tier, cost_kind, cause, token_kind';
COMMENT ON COLUMN metering.charge_hourly.caller_no IS '0 on system lines: idle, unmeasured, overhead, unattributed workload';
COMMENT ON COLUMN metering.charge_hourly.effective_cost_nano IS '1e-9 of the billing currency; NULL is unpriced, never 0 (causes unplaced and no_price)';

CREATE TABLE metering.metered_hour (charge_period_start TIMESTAMP PRIMARY KEY, metered_at TIMESTAMP NOT NULL, policy_version INTEGER NOT NULL);
COMMENT ON TABLE metering.metered_hour IS 'hours whose charges are current but for what dirty_hour names';

CREATE TABLE metering.refused_hour (charge_period_start TIMESTAMP PRIMARY KEY, reason VARCHAR NOT NULL, refused_at TIMESTAMP NOT NULL);
COMMENT ON TABLE metering.refused_hour IS 'hours that could not be metered, and why';
