-- step:   metering.asset_hourly
-- grain:  charge_period_start, asset_id, component, cause
-- reads:  book.asset, book.coverage, book.fx, metering.card_charge_hourly
-- params: period_start, period_end
-- why:    owned hardware costs whether or not its pool uses it: what was fixed when it was bought is spread over its life, upkeep over
--         calendar months and years, each to the nano whatever the hours; GPUs that the pool does not have are a part of their own
WITH charge_hour AS (
    SELECT
        charge_period_start, epoch_us(charge_period_start) AS from_us, epoch_us(charge_period_start) + 3600000000 AS to_us,
        epoch_us(date_trunc('month', charge_period_start)) AS month_us,
        epoch_us(date_trunc('month', charge_period_start) + INTERVAL 1 MONTH) AS next_month_us,
        epoch_us(date_trunc('year', charge_period_start)) AS year_us,
        epoch_us(date_trunc('year', charge_period_start) + INTERVAL 1 YEAR) AS next_year_us
    FROM (SELECT unnest(range($period_start::TIMESTAMP, $period_end::TIMESTAMP, INTERVAL 1 HOUR)) AS charge_period_start)
),
service AS (
    SELECT
        charge_hour.*, asset.* EXCLUDE (effective_from, effective_to, life_to), epoch_us(effective_from) AS life_us,
        epoch_us(life_to) - epoch_us(effective_from) AS length_us,
        GREATEST(from_us, epoch_us(effective_from)) AS begins_us, LEAST(to_us, epoch_us(effective_to)) AS ends_us
    FROM charge_hour
    JOIN book.asset AS asset ON epoch_us(effective_from) < to_us AND epoch_us(effective_to) > from_us
),
fixed AS (
    SELECT
        charge_period_start, asset_id, pool_no, currency, component, amount * (age_us) // length_us - amount * (younger_us) // length_us AS nano,
        in_currency * (age_us) // length_us - in_currency * (younger_us) // length_us AS currency_nano
    FROM (
        SELECT
            charge_period_start, asset_id, pool_no, currency, length_us, LEAST(ends_us - life_us, length_us)::HUGEINT AS age_us,
            LEAST(begins_us - life_us, length_us)::HUGEINT AS younger_us, unnest(['accelerator', 'financing']) AS component,
            unnest([depreciation_nano, financing_nano]) AS amount, unnest([depreciation_in_currency_nano, financing_in_currency_nano]) AS in_currency
        FROM service
    )
),
exchange AS (
    SELECT currency, fx_nano, epoch_us(effective_from) AS fx_from_us, epoch_us(effective_to) AS fx_to_us FROM book.fx
    UNION ALL
    SELECT '', 1000000000, epoch_us(TIMESTAMP '0001-01-01'), epoch_us(TIMESTAMP '9999-12-31')
),
kept AS (
    SELECT
        charge_period_start, asset_id, pool_no, currency, unnest(['maintenance', 'colocation']) AS component,
        unnest([maintenance_per_year_nano, colocation_per_month_nano])::HUGEINT AS amount, begins_us, ends_us,
        unnest([year_us, month_us]) AS calendar_us, unnest([next_year_us - year_us, next_month_us - month_us]) AS calendar_length_us
    FROM service
),
upkeep AS (
    SELECT charge_period_start, asset_id, pool_no, currency, component, SUM(nano) AS currency_nano, SUM(nano * fx_nano) AS e9
    FROM (
        SELECT
            kept.*, fx_nano, amount * (LEAST(ends_us, fx_to_us) - calendar_us) // calendar_length_us
                - amount * (GREATEST(begins_us, fx_from_us) - calendar_us) // calendar_length_us AS nano
        FROM kept
        JOIN exchange USING (currency)
        WHERE amount > 0 AND fx_from_us < ends_us AND fx_to_us > begins_us
    )
    GROUP BY charge_period_start, asset_id, pool_no, currency, component
),
cost AS (
    SELECT charge_period_start, asset_id, pool_no, currency, component, nano, currency_nano FROM fixed
    UNION ALL
    SELECT
        charge_period_start, asset_id, pool_no, currency, component, e9 // 1000000000 + CASE
            WHEN e9 % 1000000000 > 500000000 THEN 1
            WHEN e9 % 1000000000 = 500000000 THEN e9 // 1000000000 % 2
            ELSE 0 END, currency_nano
    FROM upkeep
),
covered AS (  -- of all GPUs of an asset, those that its pool has and those that it does not have
    SELECT
        charge_period_start, asset_id, COALESCE(SUM(gpu_us) FILTER (taken_by > 0), 0) AS used_us,
        COALESCE(SUM(gpu_us) FILTER (taken_by = 0), 0) AS unused_us, SUM(gpu_us) AS gpu_us
    FROM (
        SELECT
            charge_period_start, asset_id, coverage.pool_no AS taken_by,
            coverage.gpus::HUGEINT * (LEAST(ends_us, epoch_us(effective_to)) - GREATEST(begins_us, epoch_us(effective_from))) AS gpu_us
        FROM service
        JOIN book.coverage AS coverage
            ON coverage.evidence = 'asset/' || asset_id AND epoch_us(effective_from) < ends_us AND epoch_us(effective_to) > begins_us
    )
    GROUP BY charge_period_start, asset_id
),
listed AS (
    SELECT charge_period_start, pool_no, component, evidence, SUM(paid_us) AS listed_us, SUM(list_cost_nano) AS list_nano,
        SUM(contracted_cost_nano) AS contracted_nano
    FROM metering.card_charge_hourly
    WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP AND evidence <> ''
    GROUP BY charge_period_start, pool_no, component, evidence
),
divided AS (  -- a tie between the two remainders goes to the unused part, whose pool has no name: that is rounding half up
    SELECT
        cost.*, 'asset/' || asset_id AS evidence, used_us, unused_us,
        nano * unused_us // gpu_us + CASE WHEN nano * unused_us % gpu_us * 2 >= gpu_us THEN 1 ELSE 0 END AS unused_nano,
        currency_nano * unused_us // gpu_us
            + CASE WHEN currency_nano * unused_us % gpu_us * 2 >= gpu_us THEN 1 ELSE 0 END AS unused_currency_nano
    FROM cost
    JOIN covered USING (charge_period_start, asset_id)
),
part AS (
    SELECT
        charge_period_start, asset_id, pool_no, component, evidence, currency, unnest(['', 'unused_asset']) AS cause,
        unnest(CASE WHEN component = 'accelerator' THEN [used_us, unused_us] ELSE [0, 0] END) AS paid_us,
        unnest([nano - unused_nano, unused_nano]) AS nano, unnest([currency_nano - unused_currency_nano, unused_currency_nano]) AS currency_nano
    FROM divided
)
SELECT
    charge_period_start, asset_id, pool_no, component, cause, currency, paid_us::HUGEINT AS paid_us, nano::BIGINT AS effective_cost_nano,
    CASE WHEN cause = '' AND paid_us = listed_us THEN list_nano ELSE nano END::BIGINT AS list_cost_nano,
    CASE WHEN cause = '' AND paid_us = listed_us THEN contracted_nano ELSE nano END::BIGINT AS contracted_cost_nano,
    CASE WHEN currency <> '' THEN currency_nano END::BIGINT AS cost_in_currency_nano
FROM part
LEFT JOIN listed USING (charge_period_start, pool_no, component, evidence)  -- NULL: no card
WHERE nano <> 0 OR paid_us > 0
