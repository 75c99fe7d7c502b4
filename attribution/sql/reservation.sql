-- step:   attribution.reservation
-- grain:  charge_period_start, pool_no, team
-- reads:  metering.metered_hour, metering.origin_charge_hourly, book.pool, book.entitlement
-- params: period_start, period_end, over
-- why:    an entitlement is worth its part of what the pool was paid for, while the pool is there
WITH charge_hour AS (
    SELECT
        charge_period_start,
        CASE WHEN $over::VARCHAR = 'hour' THEN charge_period_start ELSE $period_start::TIMESTAMP END AS settled_from
    FROM metering.metered_hour
    WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
),
held AS (  -- team '' is the whole pool
    SELECT pool_no, '' AS team, gpus, effective_from, effective_to
    FROM book.pool
    UNION ALL
    SELECT
        entitlement.pool_no, entitlement.team, entitlement.gpus,
        GREATEST(entitlement.effective_from, pool.effective_from),
        LEAST(entitlement.effective_to, pool.effective_to)
    FROM book.entitlement AS entitlement
    JOIN book.pool AS pool
        ON pool.pool_no = entitlement.pool_no
        AND pool.effective_from < entitlement.effective_to AND pool.effective_to > entitlement.effective_from
),
gpu_time AS (
    SELECT
        charge_hour.settled_from, held.pool_no, held.team,
        SUM(held.gpus::HUGEINT * (
            epoch_us(LEAST(held.effective_to, charge_hour.charge_period_start + INTERVAL 1 HOUR))
            - epoch_us(GREATEST(held.effective_from, charge_hour.charge_period_start)))) AS gpu_us
    FROM charge_hour
    JOIN held
        ON held.effective_from < charge_hour.charge_period_start + INTERVAL 1 HOUR
        AND held.effective_to > charge_hour.charge_period_start
    GROUP BY charge_hour.settled_from, held.pool_no, held.team
),
pool_cost AS (
    SELECT charge_hour.settled_from, origin.pool_no, SUM(origin.effective_cost_nano)::HUGEINT AS pool_cost_nano
    FROM charge_hour
    JOIN metering.origin_charge_hourly AS origin USING (charge_period_start)
    WHERE origin.cause = ''  -- what was committed beyond the pool is nobody's reservation
    GROUP BY charge_hour.settled_from, origin.pool_no
)
SELECT
    settled_from                                                     AS charge_period_start,
    pool_no,
    entitled.team,
    entitled.gpu_us::HUGEINT                                         AS entitled_us,
    paid.gpu_us::HUGEINT                                             AS paid_us,
    pool_cost.pool_cost_nano,
    (pool_cost.pool_cost_nano * entitled.gpu_us // paid.gpu_us)::HUGEINT AS reserved_nano
FROM gpu_time AS entitled
JOIN gpu_time AS paid USING (settled_from, pool_no)
JOIN pool_cost USING (settled_from, pool_no)
WHERE entitled.team <> '' AND paid.team = '' AND paid.gpu_us > 0
