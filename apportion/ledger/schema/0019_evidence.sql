-- How much of an hour engines told their state, and what deployments that read prompts did where no prompt can be placed on them.
ALTER TABLE metering.engine_state_hourly ADD COLUMN covered_us BIGINT DEFAULT 0;
ALTER TABLE metering.engine_state_hourly ALTER COLUMN covered_us SET NOT NULL;
COMMENT ON COLUMN metering.engine_state_hourly.covered_us IS 'microseconds of the deployment''s time in force that one engine or more told; 0 in hours metered before it was kept';

CREATE TABLE metering.prefill_unplaced_hourly (
    charge_period_start  TIMESTAMP NOT NULL,
    pool_no              INTEGER NOT NULL,
    deployment_no        INTEGER NOT NULL,
    is_asked             BOOLEAN NOT NULL,
    is_busy              BOOLEAN NOT NULL
);
COMMENT ON TABLE metering.prefill_unplaced_hourly IS 'grain: charge_period_start, pool_no, deployment_no; deployments of role prefill that are the only reader of no model, so that prompts of others cannot be placed on them';
COMMENT ON COLUMN metering.prefill_unplaced_hourly.is_asked IS 'requests of its models had prompts and ran on deployments of role decode';
COMMENT ON COLUMN metering.prefill_unplaced_hourly.is_busy IS 'its own telemetry shows work: GPUs that were active, or prompts that engines counted';
COMMENT ON COLUMN metering.idle_hourly.cause IS 'below_capacity | below_saturation | draining | inactive | loading | lost | no_requests | unplaced_prefill | unscheduled';
