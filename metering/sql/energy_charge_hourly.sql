-- step:   metering.energy_charge_hourly
-- grain:  charge_period_start, pool_no
-- reads:  metering.pool_energy_hourly, book.pool, book.energy_rate
-- params: period_start, period_end
-- why:    measured energy at its tariff, and for GPU time that nobody measured the watts of the rate, times what the site takes on top;
--         where several rates share an hour, its measured energy and time go by the GPU time under each
WITH charge_hour AS (
    SELECT unnest(range($period_start::TIMESTAMP, $period_end::TIMESTAMP, INTERVAL 1 HOUR)) AS charge_period_start
),
bought AS (
    SELECT
        charge_hour.charge_period_start, pool.pool_no, pool.gpus,
        GREATEST(pool.effective_from, charge_hour.charge_period_start)                    AS bought_from,
        LEAST(pool.effective_to, charge_hour.charge_period_start + INTERVAL 1 HOUR)       AS bought_to
    FROM charge_hour
    JOIN book.pool AS pool
        ON pool.effective_from < charge_hour.charge_period_start + INTERVAL 1 HOUR
        AND pool.effective_to > charge_hour.charge_period_start
    WHERE pool.pool_no IN (SELECT pool_no FROM book.energy_rate)
),
whole AS (
    SELECT charge_period_start, pool_no, SUM(gpus * (epoch_us(bought_to) - epoch_us(bought_from)))::BIGINT AS bought_us
    FROM bought
    GROUP BY charge_period_start, pool_no
),
rated AS (
    SELECT
        bought.charge_period_start, bought.pool_no, rate.effective_from, rate.watts_per_gpu,
        rate.per_kwh_nano::HUGEINT * rate.pue_ppm AS price,
        SUM(bought.gpus * (epoch_us(LEAST(bought_to, rate.effective_to)) - epoch_us(GREATEST(bought_from, rate.effective_from))))::BIGINT
            AS paid_us
    FROM bought
    JOIN book.energy_rate AS rate
        ON rate.pool_no = bought.pool_no AND rate.effective_from < bought_to AND rate.effective_to > bought_from
    GROUP BY bought.charge_period_start, bought.pool_no, rate.effective_from, rate.watts_per_gpu, rate.per_kwh_nano, rate.pue_ppm
),
ordered AS (
    SELECT
        rated.*, whole.bought_us,
        COALESCE(energy.measured_us, 0)::HUGEINT AS measured_us, COALESCE(energy.energy_mj, 0)::HUGEINT AS energy_mj,
        SUM(paid_us) OVER (PARTITION BY charge_period_start, pool_no ORDER BY effective_from
                           ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)::BIGINT AS paid_until_us
    FROM rated
    JOIN whole USING (charge_period_start, pool_no)
    LEFT JOIN metering.pool_energy_hourly AS energy USING (charge_period_start, pool_no)  -- NULL: nobody measured
),
share AS (
    SELECT
        ordered.*,
        energy_mj * paid_until_us // bought_us - energy_mj * (paid_until_us - paid_us) // bought_us     AS share_mj,
        measured_us * paid_until_us // bought_us - measured_us * (paid_until_us - paid_us) // bought_us AS share_us
    FROM ordered
),
consumed AS (
    SELECT share.*, share_mj * 1000 + GREATEST(paid_us - share_us, 0) * watts_per_gpu AS energy_uj FROM share
),
dividend AS (  -- by digits of 1e9: microjoules x price alone can exceed 128 bits; a kilowatt-hour is 3.6e12 microjoules
    SELECT consumed.*, energy_uj // 1000000000 * price AS high FROM consumed
),
divided AS (
    SELECT
        charge_period_start, pool_no, paid_us,
        high // 3600000000000000000 * 1000000000
            + (high % 3600000000000000000 * 1000000000 + energy_uj % 1000000000 * price) // 3600000000000000000 AS quotient,
        (high % 3600000000000000000 * 1000000000 + energy_uj % 1000000000 * price) % 3600000000000000000        AS remainder
    FROM dividend
),
total AS (
    SELECT
        charge_period_start, pool_no, SUM(paid_us)::HUGEINT AS paid_us,
        SUM(quotient) + SUM(remainder) // 3600000000000000000 AS nano, SUM(remainder) % 3600000000000000000 AS rest
    FROM divided
    GROUP BY charge_period_start, pool_no
),
rounded AS (
    SELECT
        charge_period_start, pool_no, paid_us,
        (nano + CASE
            WHEN rest > 1800000000000000000 THEN 1
            WHEN rest = 1800000000000000000 THEN nano % 2  -- a tie goes to the even one
            ELSE 0 END)::BIGINT AS cost_nano
    FROM total
)
SELECT
    charge_period_start, pool_no, 'energy' AS component, 'energy' AS evidence, '' AS currency, '' AS cause, paid_us,
    cost_nano AS effective_cost_nano, cost_nano AS billed_cost_nano, cost_nano AS list_cost_nano, cost_nano AS contracted_cost_nano,
    NULL::BIGINT AS cost_in_currency_nano
FROM rounded
