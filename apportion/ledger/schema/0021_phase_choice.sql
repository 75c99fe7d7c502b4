-- Which way of splitting phases was asked for, beside the one that was taken: what an explanation begins with.
ALTER TABLE metering.phase_share_hourly ADD COLUMN phase_split VARCHAR DEFAULT '';
COMMENT ON COLUMN metering.phase_share_hourly.phase_split IS 'what the deployment or else the policy asked for; empty: metered before it was kept';

CREATE VIEW export.phase_choices AS
SELECT
    share.charge_period_start, pool.pool_id, deployment.deployment_id, share.phase_split, policy.phase_split AS policy_phase_split,
    share.phase_method
FROM metering.phase_share_hourly AS share
JOIN metering.metered_hour AS hour USING (charge_period_start)
JOIN book.policy AS policy USING (policy_version)
JOIN book.pool_key AS pool USING (pool_no)
JOIN book.deployment_key AS deployment USING (deployment_no);
COMMENT ON VIEW export.phase_choices IS 'by what a deployment''s hour was split into phases: as was asked for, as the policy asks, as it came out; only where it has usage';
