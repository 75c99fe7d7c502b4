-- The ledger's own records.
CREATE SCHEMA ledger;

CREATE TABLE ledger.migration (version INTEGER PRIMARY KEY, name VARCHAR NOT NULL, applied_at TIMESTAMP NOT NULL);
COMMENT ON TABLE ledger.migration IS 'which migrations made this file; each row is committed with what it records';

CREATE TABLE ledger.step_run (
    step          VARCHAR NOT NULL,
    period_start  TIMESTAMP NOT NULL,
    period_end    TIMESTAMP NOT NULL,
    row_count     BIGINT NOT NULL,
    duration_us   BIGINT NOT NULL,
    finished_at   TIMESTAMP NOT NULL
);
COMMENT ON TABLE ledger.step_run IS 'interval record of every step, committed with its rows';

CREATE TABLE ledger.job_run (
    job          VARCHAR NOT NULL,
    outcome      VARCHAR NOT NULL,
    detail       VARCHAR NOT NULL,
    started_at   TIMESTAMP NOT NULL,
    duration_us  BIGINT NOT NULL
);
COMMENT ON TABLE ledger.job_run IS 'every scheduled or commanded run: ok | failed | refused, and why';
