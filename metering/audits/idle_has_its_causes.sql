-- audit:  idle_has_its_causes
-- reads:  metering.deployment_hourly, metering.idle_hourly
-- params: period_start, period_end
-- why:    causes divide the idle cost of a deployment's hour without loss, and none takes back what another gave
WITH caused AS (
    SELECT charge_period_start, pool_no, deployment_no, SUM(idle_nano) AS caused_nano, MIN(idle_nano) AS least_nano
    FROM metering.idle_hourly
    WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
    GROUP BY charge_period_start, pool_no, deployment_no
),
idle AS (
    SELECT charge_period_start, pool_no, deployment_no, idle_nano
    FROM metering.deployment_hourly
    WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
)
SELECT
    charge_period_start, pool_no, deployment_no,
    COALESCE(idle_nano, 0)   AS idle_nano,
    COALESCE(caused_nano, 0) AS caused_nano,
    COALESCE(least_nano, 0)  AS least_nano
FROM idle
FULL JOIN caused USING (charge_period_start, pool_no, deployment_no)  -- NULL: nothing on that side
WHERE COALESCE(idle_nano, 0) <> COALESCE(caused_nano, 0) OR least_nano < 0
