-- Dated reference data, synced from the config by the process that owns the ledger. Ranges are [effective_from, effective_to);
-- an open end is TIMESTAMP 'infinity'-free: 9999-12-31, so that every comparison is an ordinary one.
CREATE SCHEMA book;

CREATE TABLE book.model (model_no INTEGER PRIMARY KEY, model_id VARCHAR NOT NULL UNIQUE);
COMMENT ON TABLE book.model IS 'dictionary: model names, as reported and as configured; 0 is the empty name';
INSERT INTO book.model VALUES (0, '');

CREATE TABLE book.pool_key (pool_no INTEGER PRIMARY KEY, pool_id VARCHAR NOT NULL UNIQUE);
COMMENT ON TABLE book.pool_key IS 'dictionary: pool ids ever configured, never reused; 0 is no pool';
INSERT INTO book.pool_key VALUES (0, '');

CREATE TABLE book.deployment_key (deployment_no INTEGER PRIMARY KEY, deployment_id VARCHAR NOT NULL UNIQUE);
COMMENT ON TABLE book.deployment_key IS 'dictionary: deployment ids ever configured, never reused; 0 is no deployment';
INSERT INTO book.deployment_key VALUES (0, '');

CREATE TABLE book.pool (
    pool_no         INTEGER NOT NULL,
    gpu             VARCHAR NOT NULL,
    gpus            INTEGER NOT NULL,
    effective_from  TIMESTAMP NOT NULL,
    effective_to    TIMESTAMP NOT NULL
);
COMMENT ON TABLE book.pool IS 'accelerators bought together; disjoint ranges of one pool are resizes';

CREATE TABLE book.deployment (
    deployment_no          INTEGER NOT NULL,
    pool_no                INTEGER NOT NULL,
    gpus                   INTEGER NOT NULL,
    utilization            VARCHAR NOT NULL,
    capacity_per_gpu_hour  BIGINT,
    owner                  VARCHAR NOT NULL,
    charge_to              VARCHAR NOT NULL,
    role                   VARCHAR NOT NULL,
    match_cluster          VARCHAR,
    match_replica          VARCHAR,
    match_namespace        VARCHAR,
    match_node             VARCHAR,
    match_gpu_uuid         VARCHAR,
    match_pod              VARCHAR,
    effective_from         TIMESTAMP NOT NULL,
    effective_to           TIMESTAMP NOT NULL
);
COMMENT ON TABLE book.deployment IS 'dated parts of pools that serve models';
COMMENT ON COLUMN book.deployment.utilization IS 'active | capacity | allocation; the policy''s unless the deployment says otherwise';
COMMENT ON COLUMN book.deployment.capacity_per_gpu_hour IS 'weighted tokens per GPU-hour at the service level';
COMMENT ON COLUMN book.deployment.match_node IS 'LIKE pattern with ESCAPE ''\''; NULL matches anything; all of a deployment''s patterns must match';

CREATE TABLE book.deployment_model (deployment_no INTEGER NOT NULL, model_no INTEGER NOT NULL, effective_from TIMESTAMP NOT NULL, effective_to TIMESTAMP NOT NULL);
COMMENT ON TABLE book.deployment_model IS 'which models a deployment serves, over its own range';

CREATE TABLE book.model_alias (alias VARCHAR NOT NULL, model_no INTEGER NOT NULL, effective_from TIMESTAMP NOT NULL, effective_to TIMESTAMP NOT NULL);
COMMENT ON TABLE book.model_alias IS 'reported model name -> model it stands for';

CREATE TABLE book.rate (
    pool_no            INTEGER NOT NULL,
    component          VARCHAR NOT NULL,
    per_gpu_hour_nano  BIGINT NOT NULL,
    effective_from     TIMESTAMP NOT NULL,
    effective_to       TIMESTAMP NOT NULL
);
COMMENT ON TABLE book.rate IS 'rate card: price per GPU-hour by component; no two rows of one pool and component overlap';
COMMENT ON COLUMN book.rate.per_gpu_hour_nano IS '1e-9 of the billing currency';

CREATE TABLE book.shared_cost (
    shared_cost_id  VARCHAR NOT NULL,
    per_month_nano  BIGINT NOT NULL,
    policy          VARCHAR NOT NULL,
    effective_from  TIMESTAMP NOT NULL,
    effective_to    TIMESTAMP NOT NULL
);
COMMENT ON TABLE book.shared_cost IS 'monthly amounts that no pool carries';
COMMENT ON COLUMN book.shared_cost.policy IS 'proportional | even | fixed';

CREATE TABLE book.shared_cost_share (shared_cost_id VARCHAR NOT NULL, team VARCHAR NOT NULL, weight BIGINT NOT NULL);
COMMENT ON TABLE book.shared_cost_share IS 'given shares of `fixed` shared costs, scaled to integers';

CREATE TABLE book.entitlement (
    pool_no         INTEGER NOT NULL,
    team            VARCHAR NOT NULL,
    gpus            INTEGER NOT NULL,
    effective_from  TIMESTAMP NOT NULL,
    effective_to    TIMESTAMP NOT NULL
);
COMMENT ON TABLE book.entitlement IS 'GPUs of a pool reserved for a team';

CREATE TABLE book.policy (
    policy_version       INTEGER PRIMARY KEY,
    phase_split          VARCHAR NOT NULL,
    idle                 VARCHAR NOT NULL,
    over                 VARCHAR NOT NULL,
    min_coverage_ppm     INTEGER NOT NULL,
    sample_hold_us       BIGINT NOT NULL,
    weight_scale         BIGINT NOT NULL,
    uncached_input_weight BIGINT NOT NULL,
    cache_read_weight    BIGINT NOT NULL,
    cache_write_weight   BIGINT NOT NULL,
    output_weight        BIGINT NOT NULL,
    reasoning_weight     BIGINT NOT NULL,
    digest               VARCHAR NOT NULL,
    known_from           TIMESTAMP NOT NULL
);
COMMENT ON TABLE book.policy IS 'every policy ever in force, append only; the highest version is current';
COMMENT ON COLUMN book.policy.weight_scale IS 'weights are integers: weight x weight_scale';

CREATE TABLE book.directory_rule (
    rule_no            INTEGER NOT NULL,
    principal_pattern  VARCHAR,
    namespace_pattern  VARCHAR,
    source_pattern     VARCHAR,
    tag_patterns       VARCHAR NOT NULL,
    team               VARCHAR NOT NULL,
    team_tag           VARCHAR NOT NULL,
    team_name          VARCHAR NOT NULL,
    project            VARCHAR NOT NULL,
    cost_center        VARCHAR NOT NULL,
    effective_from     TIMESTAMP NOT NULL,
    effective_to       TIMESTAMP NOT NULL
);
COMMENT ON TABLE book.directory_rule IS 'who pays for which caller: the lowest rule_no that matches and is in force';
COMMENT ON COLUMN book.directory_rule.principal_pattern IS 'LIKE pattern with ESCAPE ''\''; NULL matches anything';
COMMENT ON COLUMN book.directory_rule.tag_patterns IS 'JSON object of tag key -> LIKE pattern; all must match';
COMMENT ON COLUMN book.directory_rule.team_tag IS 'tag whose value is the team, or empty';

CREATE TABLE book.cost_center (team VARCHAR PRIMARY KEY, cost_center VARCHAR NOT NULL);
COMMENT ON TABLE book.cost_center IS 'cost centers given to system teams';

CREATE TABLE book.setting (name VARCHAR PRIMARY KEY, setting VARCHAR NOT NULL);
COMMENT ON TABLE book.setting IS 'billing_currency, epoch, metered_from, tag allow-list, digest of the config last synced';

CREATE TABLE book.change (changed_at TIMESTAMP NOT NULL, subject VARCHAR NOT NULL, before VARCHAR NOT NULL, after VARCHAR NOT NULL, dirty_from TIMESTAMP, dirty_to TIMESTAMP);
COMMENT ON TABLE book.change IS 'what a sync changed, and the hours it made dirty (NULL: none)';

CREATE TABLE book.dirty_hour (charge_period_start TIMESTAMP PRIMARY KEY, marked_at TIMESTAMP NOT NULL);
COMMENT ON TABLE book.dirty_hour IS 'hours whose rates, pools or inventory changed since they were metered';
