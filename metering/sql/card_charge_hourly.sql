-- step:   metering.card_charge_hourly
-- grain:  charge_period_start, pool_no, component, evidence, currency
-- reads:  metering.price_segment
-- params: period_start, period_end
-- why:    all prices of an hour add up exactly before they are rounded once: whole nano apart from parts of 3.6e26, the common
--         denominator of an hour's microseconds, of a percentage and of an exchange rate
WITH charge_hour AS (
    SELECT
        charge_period_start, epoch_us(charge_period_start) AS from_us, epoch_us(charge_period_start) + 3600000000 AS to_us,
        epoch_us(date_trunc('month', charge_period_start)) AS month_us,
        epoch_us(date_trunc('month', charge_period_start) + INTERVAL 1 MONTH) AS next_month_us,
        epoch_us(date_trunc('year', charge_period_start)) AS year_us,
        epoch_us(date_trunc('year', charge_period_start) + INTERVAL 1 YEAR) AS next_year_us
    FROM (SELECT unnest(range($period_start::TIMESTAMP, $period_end::TIMESTAMP, INTERVAL 1 HOUR)) AS charge_period_start)
),
price AS (
    SELECT
        price_no, ANY_VALUE(pool_no) AS pool_no, ANY_VALUE(component) AS component, ANY_VALUE(evidence) AS evidence,
        CASE WHEN ANY_VALUE(evidence) = '' THEN ANY_VALUE(currency) ELSE '' END AS currency,  -- one cost of what is covered
        ANY_VALUE(measure) AS measure, ANY_VALUE(unit) IN ('month', 'year') AS of_calendar,
        ANY_VALUE(price_nano) AS price_nano, ANY_VALUE(divisor) AS divisor, ANY_VALUE(paid_e8) AS paid_e8, ANY_VALUE(fx_nano) AS fx_nano,
        DENSE_RANK() OVER (
            ORDER BY ANY_VALUE(pool_no), ANY_VALUE(component), ANY_VALUE(evidence),
                CASE WHEN ANY_VALUE(evidence) = '' THEN ANY_VALUE(currency) ELSE '' END)::INTEGER AS charge_no
    FROM metering.price_segment
    GROUP BY price_no
),
piece AS (
    SELECT
        charge_hour.charge_period_start, segment.price_no, segment.quantity, segment.gpus, segment.unit, segment.price_nano,
        GREATEST(segment.from_us, charge_hour.from_us) AS from_us, LEAST(segment.to_us, charge_hour.to_us) AS to_us,
        CASE segment.unit WHEN 'year' THEN year_us ELSE month_us END                                         AS begins_us,
        CASE segment.unit WHEN 'year' THEN next_year_us - year_us ELSE next_month_us - month_us END          AS length_us
    FROM charge_hour
    JOIN metering.price_segment AS segment ON segment.from_us < charge_hour.to_us AND segment.to_us > charge_hour.from_us
),
spent AS (  -- divisor x GPU-microseconds; of a month or year its part in nano x microseconds of an hour
    SELECT
        charge_period_start, price_no, SUM(gpus::HUGEINT * (to_us - from_us)) AS gpu_us,
        SUM(CASE WHEN unit IN ('month', 'year') THEN quantity * 3600000000::HUGEINT * (
                price_nano * (to_us - begins_us) // length_us - price_nano * (from_us - begins_us) // length_us)
            ELSE quantity::HUGEINT * (to_us - from_us) END)::HUGEINT AS spent
    FROM piece
    GROUP BY charge_period_start, price_no
),
amount AS (SELECT DISTINCT price_no, gpu_us, spent FROM spent),  -- most hours are alike
costed AS (  -- nano x microseconds, and what is over divisor of one of them
    SELECT
        amount.*, price.* EXCLUDE (price_no, price_nano), CASE WHEN of_calendar THEN gpu_us ELSE spent // divisor END AS paid_us,
        CASE WHEN of_calendar THEN spent ELSE spent // divisor * price_nano + spent % divisor * price_nano // divisor END AS nano_us,
        CASE WHEN of_calendar THEN 0 ELSE spent % divisor * price_nano % divisor END AS over_divisor
    FROM amount
    JOIN price USING (price_no)
),
contracted AS (
    SELECT
        costed.*, nano_us // 3600000000 * paid_e8 AS e8, nano_us % 3600000000 AS rest_us, over_divisor * paid_e8 // divisor AS over_e8,
        over_divisor * paid_e8 % divisor AS over_rest
    FROM costed
),
exchanged AS (
    SELECT
        price_no, gpu_us, spent, charge_no, measure, divisor, paid_us, e8 // 100000000 * fx_nano // 1000000000 AS whole,
        e8 // 100000000 * fx_nano % 1000000000 * 360000000000000000 + e8 % 100000000 * fx_nano * 3600000000 + rest_us * paid_e8 * fx_nano
            + over_e8 * fx_nano + over_rest * fx_nano // divisor AS part,
        over_rest * fx_nano % divisor AS over_part
    FROM contracted
),
hourly AS (
    SELECT charge_period_start, charge_no, measure, divisor, paid_us, whole, part, over_part
    FROM spent
    JOIN exchanged USING (price_no, gpu_us, spent)
),
added AS (  -- what is over the price of one savings plan adds up by itself
    SELECT charge_period_start, charge_no, measure, paid_us, whole, part FROM hourly WHERE over_part = 0
    UNION ALL
    SELECT charge_period_start, charge_no, measure, SUM(paid_us), SUM(whole), SUM(part) + SUM(over_part) // divisor
    FROM hourly
    WHERE over_part > 0
    GROUP BY charge_period_start, charge_no, measure, divisor
),
summed AS (
    SELECT
        charge_period_start, charge_no, measure, SUM(paid_us) AS paid_us,
        SUM(whole) + SUM(part) // 360000000000000000000000000 AS whole, SUM(part) % 360000000000000000000000000 AS part
    FROM added
    GROUP BY charge_period_start, charge_no, measure
),
rounded AS (
    SELECT
        summed.*, (whole + CASE
            WHEN part > 180000000000000000000000000 THEN 1
            WHEN part = 180000000000000000000000000 THEN whole % 2  -- a tie goes to the even one
            ELSE 0 END)::BIGINT AS nano
    FROM summed
),
charge AS (SELECT DISTINCT charge_no, pool_no, component, evidence, currency FROM price)
SELECT
    charge_period_start, pool_no, component, evidence, currency, paid_us::HUGEINT AS paid_us, effective_cost_nano, list_cost_nano,
    CASE WHEN evidence <> '' THEN COALESCE(contracted_nano, list_cost_nano) END AS contracted_cost_nano, cost_in_currency_nano
FROM (
    SELECT
        charge_period_start, charge_no, COALESCE(MAX(paid_us) FILTER (measure = 'effective'), MAX(paid_us)) AS paid_us,
        MAX(nano) FILTER (measure = 'effective') AS effective_cost_nano,
        MAX(nano) FILTER (measure = 'list')      AS list_cost_nano,
        MAX(nano) FILTER (measure = 'contracted') AS contracted_nano,  -- NULL: the list cost
        MAX(nano) FILTER (measure = 'currency')  AS cost_in_currency_nano
    FROM rounded
    GROUP BY charge_period_start, charge_no
    HAVING MAX(paid_us) > 0 OR MAX(nano) > 0
)
JOIN charge USING (charge_no)
