-- Who pays. One writer: attribution.
CREATE SCHEMA attribution;

CREATE TABLE attribution.caller_rule (
    caller_no       INTEGER NOT NULL,
    rule_no         INTEGER NOT NULL,
    team            VARCHAR NOT NULL,
    effective_from  TIMESTAMP NOT NULL,
    effective_to    TIMESTAMP NOT NULL
);
COMMENT ON TABLE attribution.caller_rule IS 'grain: caller_no, rule_no; every directory rule whose selectors fit a caller, whether or not an earlier one hides it';
COMMENT ON COLUMN attribution.caller_rule.team IS 'the rule''s, or the caller''s tag that the rule names; __unmapped__ where that would impersonate a system team';

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
COMMENT ON COLUMN attribution.caller_team.rule_no IS 'the rule that decided; -1 is none';

CREATE TABLE attribution.deployment_owner (
    deployment_no   INTEGER NOT NULL,
    effective_from  TIMESTAMP NOT NULL,
    effective_to    TIMESTAMP NOT NULL,
    team            VARCHAR NOT NULL,
    team_name       VARCHAR NOT NULL,
    cost_center     VARCHAR NOT NULL
);
COMMENT ON TABLE attribution.deployment_owner IS 'grain: deployment_no, effective_from; whole hours in which a deployment''s owner pays for its callers and its idle';

CREATE TABLE attribution.system_team (cost_kind VARCHAR NOT NULL, team VARCHAR NOT NULL, cost_center VARCHAR NOT NULL);
COMMENT ON TABLE attribution.system_team IS 'grain: cost_kind; the team of a line that is nobody''s';

CREATE TABLE attribution.mapped_directory (callers BIGINT NOT NULL, directory_digest VARCHAR NOT NULL);
COMMENT ON TABLE attribution.mapped_directory IS 'at most one row: the callers and the directory that caller_team, deployment_owner and system_team were built from';

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

CREATE TABLE attribution.charge_daily AS SELECT * FROM attribution.charge_hourly;
COMMENT ON TABLE attribution.charge_daily IS 'charge_hourly summed over days, so that a month is re-settled from days and not from hours; charge_period_start is the day';

CREATE TABLE attribution.revision (revision BIGINT PRIMARY KEY, period_start TIMESTAMP NOT NULL, period_end TIMESTAMP NOT NULL);
COMMENT ON TABLE attribution.revision IS 'every span whose hours were attributed, in order: what has to be published again since the last time';

CREATE TABLE attribution.team_monthly (
    billing_period  TIMESTAMP NOT NULL,
    team            VARCHAR NOT NULL,
    team_name       VARCHAR NOT NULL,
    cost_center     VARCHAR NOT NULL
);
COMMENT ON TABLE attribution.team_monthly IS 'grain: billing_period, team; the name and cost center of a team where the month knows exactly one, else empty';

CREATE TABLE attribution.settlement_weight (
    charge_period_start  TIMESTAMP NOT NULL,
    charge_period_end    TIMESTAMP NOT NULL,
    pool_no              INTEGER NOT NULL,
    team                 VARCHAR NOT NULL,
    workload_nano        HUGEINT NOT NULL,
    idle_nano            HUGEINT NOT NULL,
    effective_cost_nano  HUGEINT NOT NULL,
    consumed_tokens      HUGEINT NOT NULL
);
COMMENT ON TABLE attribution.settlement_weight IS 'grain: charge_period_start, pool_no, team; what teams are weighed by, over the month or over each hour';

CREATE TABLE attribution.reservation (
    charge_period_start  TIMESTAMP NOT NULL,
    pool_no              INTEGER NOT NULL,
    team                 VARCHAR NOT NULL,
    entitled_us          HUGEINT NOT NULL,
    paid_us              HUGEINT NOT NULL,
    pool_cost_nano       HUGEINT NOT NULL,
    reserved_nano        HUGEINT NOT NULL
);
COMMENT ON TABLE attribution.reservation IS 'grain: charge_period_start, pool_no, team; what entitled teams reserved of a pool: pool cost x entitled GPU-us // paid GPU-us';

CREATE TABLE attribution.settlement_idle (
    charge_period_start  TIMESTAMP NOT NULL,
    charge_period_end    TIMESTAMP NOT NULL,
    pool_no              INTEGER NOT NULL,
    team                 VARCHAR NOT NULL,
    effective_cost_nano  BIGINT NOT NULL
);
COMMENT ON TABLE attribution.settlement_idle IS 'grain: charge_period_start, pool_no, team; the part of a pool''s idle that a team bears';

CREATE TABLE attribution.settlement_shared (
    charge_period_start  TIMESTAMP NOT NULL,
    charge_period_end    TIMESTAMP NOT NULL,
    shared_cost_id       VARCHAR NOT NULL,
    policy               VARCHAR NOT NULL,
    team                 VARCHAR NOT NULL,
    effective_cost_nano  BIGINT NOT NULL
);
COMMENT ON TABLE attribution.settlement_shared IS 'grain: charge_period_start, shared_cost_id, policy, team; the part of a shared cost that a team bears';

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
COMMENT ON COLUMN attribution.settlement.charge_period_start IS 'of the month, or of the hour where policies weigh each hour by itself';

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
COMMENT ON TABLE attribution.unit_cost_monthly IS 'both parts of cost per token, of tokens that have a price';
COMMENT ON COLUMN attribution.unit_cost_monthly.basis IS 'usage: what the tokens cost; allocation: with the team''s idle and overhead; fully_loaded_output: all cost of team and model over its output and reasoning tokens';

CREATE TABLE attribution.attributed_month (
    billing_period  TIMESTAMP PRIMARY KEY,
    attributed_at   TIMESTAMP NOT NULL,
    policy_version  INTEGER NOT NULL,
    book_digest     VARCHAR NOT NULL
);
COMMENT ON TABLE attribution.attributed_month IS 'months whose charges and settlement are current';
COMMENT ON COLUMN attribution.attributed_month.book_digest IS 'of the directory, owners, cost centers, entitlements, shares and policy they follow';

CREATE TABLE attribution.net_monthly (
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
COMMENT ON TABLE attribution.net_monthly IS 'what each label set of a counter stands at for a month';
COMMENT ON COLUMN attribution.net_monthly.metric IS 'cost (nano) | tokens | gpu_us';
COMMENT ON COLUMN attribution.net_monthly.state IS 'of gpu_us: workload | idle | unmeasured | unscheduled';

CREATE TABLE attribution.counter_change (
    billing_period   TIMESTAMP NOT NULL,
    metric           VARCHAR NOT NULL,
    team             VARCHAR NOT NULL,
    model            VARCHAR NOT NULL,
    pool             VARCHAR NOT NULL,
    cost_kind        VARCHAR NOT NULL,
    token_kind       VARCHAR NOT NULL,
    state            VARCHAR NOT NULL,
    charged          HUGEINT NOT NULL,
    credited         HUGEINT NOT NULL,
    charged_before   HUGEINT NOT NULL,
    credited_before  HUGEINT NOT NULL
);
COMMENT ON TABLE attribution.counter_change IS 'what the last run of a month added to the counters, and where they stood before it';

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
