-- audit:  deployment_cost_equals_origin_cost
-- reads:  metering.origin_charge_hourly, metering.deployment_hourly
-- params: period_start, period_end
-- why:    deployments and unscheduled time share a pool's charge without loss, and so do the parts of each
WITH origin AS (
    SELECT charge_period_start, pool_no, SUM(effective_cost_nano) AS origin_nano
    FROM metering.origin_charge_hourly
    WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
        AND pool_no > 0 AND cause = ''
    GROUP BY charge_period_start, pool_no
),
deployed AS (
    SELECT
        charge_period_start, pool_no,
        SUM(effective_cost_nano)                                           AS deployed_nano,
        SUM(workload_nano::HUGEINT + idle_nano + unmeasured_nano)          AS parts_nano,
        SUM(workload_nano)                                                 AS workload_nano,
        SUM(prefill_nano::HUGEINT + decode_nano + unattributed_nano)       AS phases_nano
    FROM metering.deployment_hourly
    WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
    GROUP BY charge_period_start, pool_no
)
SELECT
    charge_period_start, pool_no,
    COALESCE(origin_nano, 0)   AS origin_nano,
    COALESCE(deployed_nano, 0) AS deployed_nano,
    COALESCE(parts_nano, 0)    AS parts_nano,
    COALESCE(workload_nano, 0) AS workload_nano,
    COALESCE(phases_nano, 0)   AS phases_nano
FROM origin
FULL JOIN deployed USING (charge_period_start, pool_no)  -- NULL: nothing on that side
WHERE COALESCE(origin_nano, 0) <> COALESCE(deployed_nano, 0)
    OR COALESCE(deployed_nano, 0) <> COALESCE(parts_nano, 0)
    OR COALESCE(workload_nano, 0) <> COALESCE(phases_nano, 0)
