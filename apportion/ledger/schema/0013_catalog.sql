-- What power costs: tariffs of pools, the energy their GPUs took, and what that comes to.
CREATE TABLE book.energy_rate (
    pool_no        INTEGER NOT NULL,
    per_kwh_nano   BIGINT NOT NULL,
    pue_ppm        INTEGER NOT NULL,
    watts_per_gpu  INTEGER NOT NULL,
    effective_from TIMESTAMP NOT NULL,
    effective_to   TIMESTAMP NOT NULL
);
COMMENT ON TABLE book.energy_rate IS 'price of a pool''s electricity; no two rows of one pool overlap';
COMMENT ON COLUMN book.energy_rate.per_kwh_nano IS '1e-9 of the billing currency';
COMMENT ON COLUMN book.energy_rate.pue_ppm IS 'power usage effectiveness of the site: energy bought for each million units that its GPUs take';
COMMENT ON COLUMN book.energy_rate.watts_per_gpu IS 'what a GPU takes while nobody measures it';

CREATE TABLE metering.pool_energy_hourly (
    charge_period_start  TIMESTAMP NOT NULL,
    pool_no              INTEGER NOT NULL,
    measured_us          BIGINT NOT NULL,
    energy_mj            BIGINT NOT NULL
);
COMMENT ON TABLE metering.pool_energy_hourly IS 'grain: charge_period_start, pool_no; measured energy of the GPUs of pools with an energy rate';
COMMENT ON COLUMN metering.pool_energy_hourly.measured_us IS 'GPU-microseconds that energy counters or power readings cover';
COMMENT ON COLUMN metering.pool_energy_hourly.energy_mj IS 'millijoules in that time';

CREATE TABLE metering.energy_charge_hourly (
    charge_period_start    TIMESTAMP NOT NULL,
    pool_no                INTEGER NOT NULL,
    component              VARCHAR NOT NULL,
    evidence               VARCHAR NOT NULL,
    currency               VARCHAR NOT NULL,
    cause                  VARCHAR NOT NULL,
    paid_us                HUGEINT NOT NULL,
    effective_cost_nano    BIGINT NOT NULL,
    billed_cost_nano       BIGINT NOT NULL,
    list_cost_nano         BIGINT NOT NULL,
    contracted_cost_nano   BIGINT NOT NULL,
    cost_in_currency_nano  BIGINT
);
COMMENT ON TABLE metering.energy_charge_hourly IS 'grain: charge_period_start, pool_no; the origin charge of electricity, in the columns of origin_charge_hourly';
COMMENT ON COLUMN metering.energy_charge_hourly.paid_us IS 'GPU-microseconds under an energy rate, measured or not';
COMMENT ON COLUMN metering.energy_charge_hourly.cost_in_currency_nano IS 'NULL: energy rates are in the billing currency';

COMMENT ON COLUMN metering.gpu_activity_hourly.observed_us IS 'GPU-microseconds that samples with a known reading held; a MIG slice counts for its part of the GPU';
COMMENT ON COLUMN metering.gpu_activity_hourly.active_ppm_us IS 'sum over samples of active ppm x microseconds held, weighed alike';

CREATE TABLE metering.inventory_hourly (
    charge_period_start  TIMESTAMP NOT NULL,
    pool_no              INTEGER NOT NULL,
    gpu                  VARCHAR NOT NULL,
    node                 VARCHAR NOT NULL,
    devices              INTEGER NOT NULL
);
COMMENT ON TABLE metering.inventory_hourly IS 'grain: charge_period_start, pool_no, gpu, node; the GPUs that telemetry saw in an hour; pool 0 is none, or several';
COMMENT ON COLUMN metering.inventory_hourly.gpu IS 'what its samples call the product';
COMMENT ON COLUMN metering.inventory_hourly.devices IS 'distinct GPUs; slices of one are one';

CREATE VIEW export.inventory AS
WITH newest AS (SELECT max(charge_period_start) AS charge_period_start FROM metering.inventory_hourly),
metered AS (
    SELECT hour.charge_period_start
    FROM metering.metered_hour AS hour
    CROSS JOIN newest
    WHERE hour.charge_period_start > newest.charge_period_start - INTERVAL 31 DAY AND hour.charge_period_start <= newest.charge_period_start
),
bought AS (
    SELECT
        metered.charge_period_start, pool.pool_no, string_agg(DISTINCT pool.gpu, ' and ' ORDER BY pool.gpu) AS gpu,
        max(pool.gpus) AS gpus
    FROM metered
    JOIN book.pool AS pool
        ON pool.effective_from < metered.charge_period_start + INTERVAL 1 HOUR AND pool.effective_to > metered.charge_period_start
    GROUP BY metered.charge_period_start, pool.pool_no
),
seen AS (
    SELECT
        charge_period_start, pool_no, string_agg(DISTINCT gpu, ' and ' ORDER BY gpu) AS seen_gpu,
        string_agg(DISTINCT node, ', ' ORDER BY node) AS nodes, sum(devices)::BIGINT AS devices
    FROM metering.inventory_hourly
    WHERE charge_period_start IN (SELECT charge_period_start FROM metered)
    GROUP BY charge_period_start, pool_no
)
SELECT
    charge_period_start, key.pool_id, coalesce(bought.gpu, '') AS gpu, coalesce(bought.gpus, 0) AS gpus,
    coalesce(seen.seen_gpu, '') AS seen_gpu, coalesce(seen.nodes, '') AS nodes, coalesce(seen.devices, 0) AS devices
FROM bought
FULL JOIN seen USING (charge_period_start, pool_no)
JOIN book.pool_key AS key USING (pool_no);
COMMENT ON VIEW export.inventory IS 'GPUs bought and GPUs seen by hour and pool, of the 31 days up to the newest telemetry; devices 0 is no telemetry, pool_id empty is GPUs of no pool';
COMMENT ON COLUMN export.inventory.gpus IS 'as configured; the larger number where a pool is resized within the hour';

CREATE VIEW metering.purchase_hourly AS
SELECT
    charge_period_start, pool_no, component, evidence, currency, '' AS cause, paid_us, effective_cost_nano,
    effective_cost_nano AS billed_cost_nano, coalesce(list_cost_nano, effective_cost_nano) AS list_cost_nano, cost_in_currency_nano
FROM metering.card_charge_hourly
WHERE evidence = ''
UNION ALL
SELECT
    charge_period_start, pool_no, 'accelerator', 'commitment/' || commitment_id, currency, cause, paid_us, effective_cost_nano,
    billed_cost_nano, list_cost_nano, cost_in_currency_nano
FROM metering.commitment_hourly
UNION ALL
SELECT
    charge_period_start, pool_no, component, 'asset/' || asset_id, currency, cause, paid_us, effective_cost_nano,
    effective_cost_nano, list_cost_nano, cost_in_currency_nano
FROM metering.asset_hourly
UNION ALL
SELECT
    charge_period_start, pool_no, component, evidence, currency, cause, paid_us, effective_cost_nano, billed_cost_nano,
    list_cost_nano, cost_in_currency_nano
FROM metering.energy_charge_hourly;
COMMENT ON VIEW metering.purchase_hourly IS 'grain: charge_period_start, pool_no, component, evidence, currency, cause; all that pools owe before credits';
