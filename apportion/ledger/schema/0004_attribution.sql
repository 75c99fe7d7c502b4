-- Who pays. One writer: attribution.
CREATE SCHEMA attribution;

CREATE TABLE attribution.caller_team (
    caller_no       INTEGER NOT NULL,
    effective_from  TIMESTAMP NOT NULL,
    effective_to    TIMESTAMP NOT NULL,
    rule_no         INTEGER NOT NULL,
    team            VARCHAR NOT NULL,
    team_name       VARCHAR NOT NULL,
    project         VARCHAR NOT NULL,
    cost_center     VARCHAR NOT NULL
);
COMMENT ON TABLE attribution.caller_team IS 'grain: caller_no, effective_from; every caller is covered for all time, by __unmapped__ where no rule matches';

CREATE TABLE attribution.charge_hourly (
    charge_period_start  TIMESTAMP NOT NULL,
    team                 VARCHAR NOT NULL,
    team_name            VARCHAR NOT NULL,
    project              VARCHAR NOT NULL,
    cost_center          VARCHAR NOT NULL,
    provider             VARCHAR NOT NULL,
    model_no             INTEGER NOT NULL,
    pool_no              INTEGER NOT NULL,
    deployment_no        INTEGER NOT NULL,
    tier                 VARCHAR NOT NULL,
    cost_kind            VARCHAR NOT NULL,
    cause                VARCHAR NOT NULL,
    token_kind           VARCHAR NOT NULL,
    consumed_tokens      BIGINT,
    effective_cost_nano  BIGINT,
    allocation_method    VARCHAR NOT NULL,
    confidence           VARCHAR NOT NULL
);
COMMENT ON TABLE attribution.charge_hourly IS 'metering.charge_hourly by payer instead of caller; same sums';

CREATE TABLE attribution.settlement (
    billing_period       TIMESTAMP NOT NULL,
    charge_period_start  TIMESTAMP NOT NULL,
    charge_period_end    TIMESTAMP NOT NULL,
    team                 VARCHAR NOT NULL,
    team_name            VARCHAR NOT NULL,
    project              VARCHAR NOT NULL,
    cost_center          VARCHAR NOT NULL,
    pool_no              INTEGER NOT NULL,
    cost_kind            VARCHAR NOT NULL,
    cause                VARCHAR NOT NULL,
    shared_cost_id       VARCHAR NOT NULL,
    effective_cost_nano  BIGINT NOT NULL,
    allocation_method    VARCHAR NOT NULL,
    confidence           VARCHAR NOT NULL,
    policy_version       INTEGER NOT NULL
);
COMMENT ON TABLE attribution.settlement IS 'what policies move from __idle__ and __overhead__ to teams; sums to zero per period, pool, cost kind and shared cost';

CREATE TABLE attribution.charge_monthly (
    billing_period       TIMESTAMP NOT NULL,
    team                 VARCHAR NOT NULL,
    team_name            VARCHAR NOT NULL,
    project              VARCHAR NOT NULL,
    cost_center          VARCHAR NOT NULL,
    provider             VARCHAR NOT NULL,
    model_no             INTEGER NOT NULL,
    pool_no              INTEGER NOT NULL,
    deployment_no        INTEGER NOT NULL,
    tier                 VARCHAR NOT NULL,
    cost_kind            VARCHAR NOT NULL,
    cause                VARCHAR NOT NULL,
    token_kind           VARCHAR NOT NULL,
    consumed_tokens      HUGEINT,
    effective_cost_nano  HUGEINT,
    allocation_method    VARCHAR NOT NULL,
    confidence           VARCHAR NOT NULL,
    policy_version       INTEGER NOT NULL
);
COMMENT ON TABLE attribution.charge_monthly IS 'the chargeback of a month: hourly charges and settlement, summed';

CREATE TABLE attribution.unit_cost_monthly (
    billing_period       TIMESTAMP NOT NULL,
    team                 VARCHAR NOT NULL,
    model_no             INTEGER NOT NULL,
    token_kind           VARCHAR NOT NULL,
    basis                VARCHAR NOT NULL,
    effective_cost_nano  HUGEINT NOT NULL,
    consumed_tokens      HUGEINT NOT NULL
);
COMMENT ON TABLE attribution.unit_cost_monthly IS 'both parts of cost per token; basis usage is workload only, allocation adds settled idle and overhead';

CREATE TABLE attribution.attributed_month (billing_period TIMESTAMP PRIMARY KEY, attributed_at TIMESTAMP NOT NULL, policy_version INTEGER NOT NULL);
COMMENT ON TABLE attribution.attributed_month IS 'months whose charges and settlement are current';

CREATE TABLE attribution.published (
    billing_period  TIMESTAMP NOT NULL,
    metric          VARCHAR NOT NULL,
    team            VARCHAR NOT NULL,
    model           VARCHAR NOT NULL,
    pool            VARCHAR NOT NULL,
    cost_kind       VARCHAR NOT NULL,
    token_kind      VARCHAR NOT NULL,
    state           VARCHAR NOT NULL,
    net             HUGEINT NOT NULL
);
COMMENT ON TABLE attribution.published IS 'what each label set of a counter last stood at for a month: the next run publishes the difference';
COMMENT ON COLUMN attribution.published.metric IS 'cost (nano) | tokens | gpu_us';

CREATE TABLE attribution.counter (
    metric      VARCHAR NOT NULL,
    team        VARCHAR NOT NULL,
    model       VARCHAR NOT NULL,
    pool        VARCHAR NOT NULL,
    cost_kind   VARCHAR NOT NULL,
    token_kind  VARCHAR NOT NULL,
    state       VARCHAR NOT NULL,
    charged     HUGEINT NOT NULL,
    credited    HUGEINT NOT NULL
);
COMMENT ON TABLE attribution.counter IS 'monotone sums of positive and of negative differences; charged - credited = net';

CREATE TABLE attribution.label_set (team VARCHAR NOT NULL, model VARCHAR NOT NULL, in_other BOOLEAN NOT NULL);
COMMENT ON TABLE attribution.label_set IS 'which team and model pairs have labels of their own; once in other, always in other';
