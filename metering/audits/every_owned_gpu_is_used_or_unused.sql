-- audit:  every_owned_gpu_is_used_or_unused
-- reads:  book.asset, metering.asset_hourly
-- params: period_start, period_end
-- why:    an hour of an asset is divided between the GPUs that its pool has and those that it has not: all of its GPU time and all
--         of what it wears off in that hour, whoever bears it
WITH charge_hour AS (
    SELECT charge_period_start, epoch_us(charge_period_start) AS from_us, epoch_us(charge_period_start) + 3600000000 AS to_us
    FROM (SELECT unnest(range($period_start::TIMESTAMP, $period_end::TIMESTAMP, INTERVAL 1 HOUR)) AS charge_period_start)
),
service AS (
    SELECT
        charge_period_start, asset_id, gpus, depreciation_nano, epoch_us(life_to) - epoch_us(effective_from) AS length_us,
        GREATEST(from_us, epoch_us(effective_from)) - epoch_us(effective_from) AS younger_us,
        LEAST(to_us, epoch_us(effective_to)) - epoch_us(effective_from)        AS age_us
    FROM charge_hour
    JOIN book.asset AS asset ON epoch_us(effective_from) < to_us AND epoch_us(effective_to) > from_us
),
owned AS (
    SELECT
        charge_period_start, asset_id, gpus::HUGEINT * (age_us - younger_us) AS owned_us,
        depreciation_nano::HUGEINT * LEAST(age_us, length_us) // length_us
            - depreciation_nano::HUGEINT * LEAST(younger_us, length_us) // length_us AS owned_nano
    FROM service
),
charged AS (
    SELECT charge_period_start, asset_id, SUM(paid_us) AS charged_us, SUM(effective_cost_nano) AS charged_nano
    FROM metering.asset_hourly
    WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
        AND component = 'accelerator'
    GROUP BY charge_period_start, asset_id
)
SELECT
    charge_period_start, asset_id,
    COALESCE(owned_us, 0)     AS owned_us,
    COALESCE(charged_us, 0)   AS charged_us,
    COALESCE(owned_nano, 0)   AS owned_nano,
    COALESCE(charged_nano, 0) AS charged_nano
FROM owned
FULL JOIN charged USING (charge_period_start, asset_id)  -- NULL: nothing on that side
WHERE COALESCE(owned_us, 0) <> COALESCE(charged_us, 0) OR COALESCE(owned_nano, 0) <> COALESCE(charged_nano, 0)
