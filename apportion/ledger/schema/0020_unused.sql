-- Owned GPUs that their pool does not have are a cause of their own, and no longer charged to those that it has.
COMMENT ON TABLE metering.asset_hourly IS 'grain: charge_period_start, asset_id, component, cause; depreciation is component accelerator';
COMMENT ON COLUMN metering.asset_hourly.cause IS 'unused_asset: the part of GPUs that the pool does not have';
COMMENT ON COLUMN metering.origin_charge_hourly.cause IS 'empty: split over deployments; unused_commitment, unused_asset: a line of its own';
COMMENT ON COLUMN metering.origin_charge_hourly.paid_us IS 'GPU-microseconds paid for; of unused commitments and assets, paid in vain';

-- GPU time divides by itself, since an hour may cost nothing.
ALTER TABLE metering.deployment_hourly ADD COLUMN workload_us BIGINT;
ALTER TABLE metering.deployment_hourly ADD COLUMN unmeasured_us BIGINT;
COMMENT ON COLUMN metering.deployment_hourly.workload_us IS 'of paid_us, as workload_nano is of the cost; what is left is idle. NULL, as unmeasured_us: metered before this was known';
