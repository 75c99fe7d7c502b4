-- step:   metering.commitment_hourly
-- grain:  charge_period_start, commitment_id, pool_no, cause
-- reads:  book.commitment, book.coverage, book.savings, book.fx, book.pool_key, metering.price_segment, metering.card_charge_hourly
-- params: period_start, period_end
-- why:    a commitment costs the same used or not: its hour is split over the pools by what they use, and what none uses is the
--         first pool's, where it shows; upfront payments are spread over the term and billed when it begins
WITH charge_hour AS (
    SELECT charge_period_start, epoch_us(charge_period_start) AS from_us, epoch_us(charge_period_start) + 3600000000 AS to_us
    FROM (SELECT unnest(range($period_start::TIMESTAMP, $period_end::TIMESTAMP, INTERVAL 1 HOUR)) AS charge_period_start)
),
term AS (
    SELECT
        charge_period_start, commitment.*, epoch_us(effective_from) AS term_us, epoch_us(effective_to) - epoch_us(effective_from) AS length_us,
        GREATEST(from_us, epoch_us(effective_from)) AS begins_us, LEAST(to_us, epoch_us(effective_to)) AS ends_us,
        gpus::HUGEINT * per_gpu_hour_nano + recurring_per_hour_nano AS hour_nano
    FROM charge_hour
    JOIN book.commitment AS commitment ON epoch_us(effective_from) < to_us AND epoch_us(effective_to) > from_us
),
exchange AS (
    SELECT currency, fx_nano, epoch_us(effective_from) AS from_us, epoch_us(effective_to) AS to_us FROM book.fx
    UNION ALL
    SELECT '', 1000000000, epoch_us(TIMESTAMP '0001-01-01'), epoch_us(TIMESTAMP '9999-12-31')
),
recurring AS (  -- whole nano of the billing currency, and parts of 3.6e18
    SELECT
        charge_period_start, commitment_id, SUM(nano_us // 3600000000 * fx_nano // 1000000000) AS whole,
        SUM(nano_us // 3600000000 * fx_nano % 1000000000 * 3600000000 + nano_us % 3600000000 * fx_nano) AS part
    FROM (
        SELECT charge_period_start, commitment_id, fx_nano, hour_nano * (LEAST(ends_us, to_us) - GREATEST(begins_us, from_us)) AS nano_us
        FROM term
        JOIN exchange USING (currency)
        WHERE from_us < ends_us AND to_us > begins_us
    )
    GROUP BY charge_period_start, commitment_id
),
spread AS (
    SELECT
        term.*, COALESCE(whole + part // 3600000000000000000, 0) AS whole, COALESCE(part % 3600000000000000000, 0) AS part,
        hour_nano * (ends_us - begins_us) AS nano_us,
        upfront_nano::HUGEINT * (ends_us - term_us) // length_us - upfront_nano::HUGEINT * (begins_us - term_us) // length_us AS upfront_part,
        upfront_in_currency_nano::HUGEINT * (ends_us - term_us) // length_us
            - upfront_in_currency_nano::HUGEINT * (begins_us - term_us) // length_us AS upfront_part_in_currency,
        CASE WHEN begins_us = term_us THEN upfront_nano ELSE 0 END AS upfront_billed_nano
    FROM term
    LEFT JOIN recurring USING (charge_period_start, commitment_id)  -- NULL: no exchange rate, and nothing that recurs
),
cost AS (  -- up to three amounts, split alike; what is not asked is NULL, and equals the effective one or has no currency
    SELECT
        charge_period_start, commitment_id, currency, upfront_billed_nano, measure, nano,
        ROW_NUMBER() OVER ()::INTEGER AS cost_no
    FROM (
        SELECT
            spread.*, unnest(['effective', 'billed', 'currency']) AS measure,
            unnest([
                upfront_part + recurring_nano, CASE WHEN upfront_nano > 0 THEN recurring_nano END,
                CASE WHEN currency <> '' THEN upfront_part_in_currency + recurring_in_currency_nano END]) AS nano
        FROM (
            SELECT
                spread.*,
                whole + CASE WHEN part > 1800000000000000000 THEN 1 WHEN part = 1800000000000000000 THEN whole % 2 ELSE 0 END AS recurring_nano,
                nano_us // 3600000000 + CASE
                    WHEN nano_us % 3600000000 > 1800000000 THEN 1
                    WHEN nano_us % 3600000000 = 1800000000 THEN nano_us // 3600000000 % 2
                    ELSE 0 END AS recurring_in_currency_nano
            FROM spread
        ) AS spread
    )
    WHERE nano IS NOT NULL
),
used AS (  -- GPU-microseconds, or nano x microseconds of a savings plan; pool 0 is what none uses
    SELECT charge_period_start, commitment_id, first_pool_no, pool_no, SUM(weight) AS weight, SUM(gpu_us) AS gpu_us
    FROM (
        SELECT
            charge_period_start, commitment_id, term.pool_no AS first_pool_no, coverage.pool_no,
            coverage.gpus::HUGEINT * (LEAST(ends_us, epoch_us(coverage.effective_to)) - GREATEST(begins_us, epoch_us(coverage.effective_from))) AS weight,
            weight AS gpu_us
        FROM term
        JOIN book.coverage AS coverage
            ON coverage.evidence = 'commitment/' || commitment_id
            AND epoch_us(coverage.effective_from) < ends_us AND epoch_us(coverage.effective_to) > begins_us
        UNION ALL
        SELECT
            charge_period_start, commitment_id, term.pool_no, savings.pool_no,
            savings.used_per_hour_nano::HUGEINT * (
                LEAST(ends_us, epoch_us(savings.effective_to)) - GREATEST(begins_us, epoch_us(savings.effective_from))),
            savings.gpus::HUGEINT * (LEAST(ends_us, epoch_us(savings.effective_to)) - GREATEST(begins_us, epoch_us(savings.effective_from)))
        FROM term
        JOIN book.savings AS savings
            USING (commitment_id)
        WHERE epoch_us(savings.effective_from) < ends_us AND epoch_us(savings.effective_to) > begins_us
        UNION ALL
        SELECT charge_period_start, commitment_id, pool_no, 0, 0, 0 FROM spread WHERE upfront_billed_nano > 0
    )
    GROUP BY charge_period_start, commitment_id, first_pool_no, pool_no
),
weight AS (
    SELECT
        used.*, pool_id, GREATEST(SUM(weight) OVER hour, 1) AS total, BOOL_OR(pool_no = first_pool_no AND weight > 0) OVER hour AS first_uses
    FROM used
    JOIN book.pool_key USING (pool_no)
    WINDOW hour AS (PARTITION BY charge_period_start, commitment_id)
),
weighed AS (
    SELECT cost.*, weight.* EXCLUDE (charge_period_start, commitment_id)
    FROM cost
    JOIN weight USING (charge_period_start, commitment_id)
),
high AS (  -- long division by digits of 1e7: a cost x nano x microseconds alone can exceed 128 bits
    SELECT weighed.*, nano // 100000000000000 * weight // total AS quotient, nano // 100000000000000 * weight % total AS rest FROM weighed
),
middle AS (
    SELECT
        high.* REPLACE (
            quotient * 10000000 + (rest * 10000000 + nano // 10000000 % 10000000 * weight) // total AS quotient,
            (rest * 10000000 + nano // 10000000 % 10000000 * weight) % total                       AS rest)
    FROM high
),
divided AS (
    SELECT
        middle.* REPLACE (
            quotient * 10000000 + (rest * 10000000 + nano % 10000000 * weight) // total AS quotient,
            (rest * 10000000 + nano % 10000000 * weight) % total                        AS rest)
    FROM middle
),
ranked AS (
    SELECT
        divided.*, nano - SUM(quotient) OVER (PARTITION BY cost_no) AS left_over,
        ROW_NUMBER() OVER (PARTITION BY cost_no ORDER BY rest DESC, pool_id) AS place
    FROM divided
),
share AS (
    SELECT
        charge_period_start, commitment_id, pool_no, currency, first_pool_no, gpu_us, weight,
        MAX(part) FILTER (measure = 'effective') AS effective_nano, MAX(part) FILTER (measure = 'currency') AS currency_nano,
        COALESCE(MAX(part) FILTER (measure = 'billed'), MAX(part) FILTER (measure = 'effective'))
            + CASE WHEN weight > 0 AND pool_no = first_pool_no OR pool_no = 0 AND NOT first_uses THEN upfront_billed_nano ELSE 0 END AS billed_nano
    FROM (SELECT ranked.*, quotient + CASE WHEN place <= left_over THEN 1 ELSE 0 END AS part FROM ranked)
    GROUP BY charge_period_start, commitment_id, pool_no, currency, first_pool_no, gpu_us, weight, first_uses, upfront_billed_nano
),
rest AS (  -- what a plan leaves to the rate card, as that counts it
    SELECT charge_period_start, pool_no, plan, SUM(rest_us) AS rest_us
    FROM (
        SELECT
            charge_period_start, pool_no, plan, price_no,
            SUM(quantity::HUGEINT * (LEAST(segment.to_us, charge_hour.to_us) - GREATEST(segment.from_us, charge_hour.from_us))) // divisor AS rest_us
        FROM metering.price_segment AS segment
        JOIN charge_hour ON segment.from_us < charge_hour.to_us AND segment.to_us > charge_hour.from_us
        WHERE plan <> '' AND measure = 'effective'
        GROUP BY charge_period_start, pool_no, plan, price_no, divisor
    )
    GROUP BY charge_period_start, pool_no, plan
),
listed AS (
    SELECT charge_period_start, pool_no, evidence, SUM(paid_us) AS listed_us, SUM(list_cost_nano) AS list_nano,
        SUM(contracted_cost_nano) AS contracted_nano
    FROM metering.card_charge_hourly
    WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP AND evidence <> ''
    GROUP BY charge_period_start, pool_no, evidence
),
paid AS (
    SELECT
        share.*, 'commitment/' || commitment_id AS evidence, gpu_us - COALESCE(rest_us, 0) AS paid_us
    FROM share
    LEFT JOIN rest ON rest.charge_period_start = share.charge_period_start AND rest.pool_no = share.pool_no
        AND rest.plan = 'commitment/' || share.commitment_id  -- NULL: nothing is left
)
SELECT
    charge_period_start, commitment_id,
    CASE WHEN pool_no = 0 THEN first_pool_no ELSE pool_no END           AS pool_no,
    CASE WHEN pool_no = 0 THEN 'unused_commitment' ELSE '' END          AS cause,
    currency, paid_us::HUGEINT AS paid_us, effective_nano::BIGINT AS effective_cost_nano, billed_nano::BIGINT AS billed_cost_nano,
    CASE WHEN paid_us - listed_us < 100 THEN list_nano ELSE effective_nano END::BIGINT AS list_cost_nano,  -- each price of the hour may lose one
    CASE WHEN paid_us - listed_us < 100 THEN contracted_nano ELSE effective_nano END::BIGINT AS contracted_cost_nano,
    CASE WHEN currency <> '' THEN currency_nano END::BIGINT             AS cost_in_currency_nano
FROM paid
LEFT JOIN listed USING (charge_period_start, pool_no, evidence)  -- NULL: no card
WHERE weight > 0 OR paid_us > 0 OR billed_nano <> 0
