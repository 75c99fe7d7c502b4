-- step:   metering.price_segment
-- grain:  price_no, from_us, to_us
-- reads:  book.pool, book.rate, book.fx, book.discount, book.coverage, book.savings
-- params: period_start, period_end
-- why:    what a price is for, between times at which nothing changes; what something else covers, or a discount prices anew, is
--         taken off by a row with a negative quantity, so that nothing needs to be cut at all edges of all tables
WITH held AS (  -- quantity // divisor GPUs; those of savings plans are what is left of their price, by their own price
    SELECT pool_no, '' AS evidence, '' AS plan, '' AS component, 1::BIGINT AS divisor, gpus::BIGINT AS quantity, gpus::BIGINT AS gpus,
        TRUE AS bought, effective_from, effective_to
    FROM book.pool
    UNION ALL
    SELECT pool_no, '', '', 'accelerator', 1, -gpus, -gpus, FALSE, effective_from, effective_to FROM book.coverage
    UNION ALL
    SELECT pool_no, evidence, '', 'accelerator', 1, gpus, gpus, FALSE, effective_from, effective_to FROM book.coverage
    UNION ALL
    SELECT pool_no, '', '', 'accelerator', 1, -gpus, -gpus, FALSE, effective_from, effective_to FROM book.savings
    UNION ALL
    SELECT pool_no, '', 'commitment/' || commitment_id, 'accelerator', rate_nano, rest_per_hour_nano, 0, FALSE, effective_from, effective_to
    FROM book.savings WHERE rest_per_hour_nano > 0
    UNION ALL
    SELECT pool_no, 'commitment/' || commitment_id, '', 'accelerator', rate_nano, used_per_hour_nano, 0, FALSE, effective_from, effective_to
    FROM book.savings WHERE used_per_hour_nano > 0 AND pool_no > 0
),
exchange AS (
    SELECT currency, fx_nano, effective_from, effective_to FROM book.fx
    UNION ALL
    SELECT '', 1000000000, TIMESTAMP '0001-01-01', TIMESTAMP '9999-12-31'
),
dated AS (  -- months and years are the whole pool's, once, however many GPUs it has
    SELECT
        held.pool_no, rate.component, held.evidence, rate.currency, held.plan, rate.unit, held.divisor, exchange.fx_nano, held.gpus,
        CASE WHEN rate.unit NOT IN ('month', 'year') THEN held.quantity WHEN held.bought THEN 1 ELSE 0 END AS quantity,
        rate.price_nano::HUGEINT * CASE rate.unit WHEN 'gpu_second' THEN 3600 ELSE 1 END AS price_nano,
        rate.list_nano::HUGEINT * CASE rate.unit WHEN 'gpu_second' THEN 3600 ELSE 1 END  AS list_nano,
        GREATEST(held.effective_from, rate.effective_from, exchange.effective_from, $period_start::TIMESTAMP) AS priced_from,
        LEAST(held.effective_to, rate.effective_to, exchange.effective_to, $period_end::TIMESTAMP)            AS priced_to
    FROM held
    JOIN book.rate AS rate
        ON rate.pool_no = held.pool_no AND held.component IN ('', rate.component)
        AND (rate.unit IN ('gpu_hour', 'gpu_second') OR rate.unit IN ('month', 'year') AND held.evidence = '')
        AND rate.effective_from < held.effective_to AND rate.effective_to > held.effective_from
    JOIN exchange
        ON exchange.currency = rate.currency
        AND exchange.effective_from < LEAST(held.effective_to, rate.effective_to)
        AND exchange.effective_to > GREATEST(held.effective_from, rate.effective_from)
    WHERE LEAST(held.effective_to, rate.effective_to, exchange.effective_to) > $period_start::TIMESTAMP
        AND GREATEST(held.effective_from, rate.effective_from, exchange.effective_from) < $period_end::TIMESTAMP
),
discounted AS (
    SELECT dated.*, 100000000 AS paid_e8 FROM dated
    UNION ALL
    SELECT
        dated.* REPLACE (
            sign * dated.quantity AS quantity, sign * dated.gpus AS gpus,
            GREATEST(dated.priced_from, discount.effective_from) AS priced_from,
            LEAST(dated.priced_to, discount.effective_to)        AS priced_to),
        100000000 - CASE WHEN sign > 0 THEN discount.discount_e8 ELSE 0 END AS paid_e8
    FROM dated
    JOIN book.discount AS discount
        ON discount.pool_no = dated.pool_no AND discount.component = dated.component
        AND discount.effective_from < dated.priced_to AND discount.effective_to > dated.priced_from
    CROSS JOIN (SELECT unnest([-1, 1]) AS sign)
),
listed AS (  -- a list cost, and a contracted one of what something else pays for, are worked out only where they may differ
    SELECT
        discounted.*,
        BOOL_OR(list_nano <> price_nano OR paid_e8 <> 100000000) OVER (PARTITION BY pool_no, component, evidence) AS differs
    FROM discounted
    WHERE priced_from < priced_to
),
measured AS (
    SELECT listed.* EXCLUDE (list_nano, differs), 'effective' AS measure FROM listed WHERE evidence = ''
    UNION ALL BY NAME
    SELECT
        listed.* EXCLUDE (list_nano, differs) REPLACE (list_nano AS price_nano, 100000000 AS paid_e8), 'list' AS measure
    FROM listed
    WHERE differs OR evidence <> ''
    UNION ALL BY NAME
    SELECT listed.* EXCLUDE (list_nano, differs), 'contracted' AS measure FROM listed WHERE differs AND evidence <> ''
    UNION ALL BY NAME
    SELECT listed.* EXCLUDE (list_nano, differs) REPLACE (1000000000 AS fx_nano), 'currency' AS measure
    FROM listed
    WHERE evidence = '' AND currency <> ''
)
SELECT
    DENSE_RANK() OVER (
        ORDER BY pool_no, component, evidence, currency, plan, measure, unit, price_nano, divisor, paid_e8, fx_nano)::INTEGER AS price_no,
    pool_no, component, evidence, currency, plan, measure, unit, price_nano, divisor, paid_e8::BIGINT AS paid_e8, fx_nano,
    SUM(quantity)::BIGINT AS quantity, SUM(gpus)::BIGINT AS gpus, epoch_us(priced_from) AS from_us, epoch_us(priced_to) AS to_us
FROM measured
GROUP BY
    pool_no, component, evidence, currency, plan, measure, unit, price_nano, divisor, paid_e8, fx_nano, priced_from, priced_to
