-- audit:  allocated_cost_equals_origin_cost
-- reads:  metering.origin_charge_hourly, metering.charge_hourly
-- params: period_start, period_end
-- why:    the law: whatever an hour of a pool costs is on its lines, to the nano, and nothing else is; what external providers
--         cost has no pool, and is held against its prices
WITH origin AS (
    SELECT charge_period_start, pool_no, SUM(effective_cost_nano) AS origin_nano
    FROM metering.origin_charge_hourly
    WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
    GROUP BY charge_period_start, pool_no
),
allocated AS (
    SELECT charge_period_start, pool_no, SUM(effective_cost_nano) AS allocated_nano
    FROM metering.charge_hourly
    WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
        AND cost_kind <> 'external'
    GROUP BY charge_period_start, pool_no
)
SELECT
    charge_period_start, pool_no,
    COALESCE(origin_nano, 0)    AS origin_nano,
    COALESCE(allocated_nano, 0) AS allocated_nano
FROM origin
FULL JOIN allocated USING (charge_period_start, pool_no)  -- NULL: nothing on that side
WHERE COALESCE(origin_nano, 0) <> COALESCE(allocated_nano, 0)
