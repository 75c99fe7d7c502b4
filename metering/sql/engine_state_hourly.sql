-- step:   metering.engine_state_hourly
-- grain:  charge_period_start, pool_no, deployment_no
-- reads:  raw.engine_sample, metering.engine_place_hourly, book.deployment
-- params: period_start, period_end, sample_hold_us
-- why:    engines tell idle for want of requests from idle beside requests; a reading holds until its engine's next one but no
--         longer than the hold, as that of a GPU does
WITH reading AS (
    SELECT
        engine_series_no, requests_running, epoch_us(sampled_at) AS held_from,
        LEAST(epoch_us(sampled_at) + $sample_hold_us::BIGINT,
              LEAD(epoch_us(sampled_at), 1, 9223372036854775807) OVER (PARTITION BY engine_no ORDER BY sampled_at)) AS held_to
    FROM raw.engine_sample
    WHERE sampled_at >= $period_start::TIMESTAMP - to_microseconds($sample_hold_us::BIGINT)
        AND sampled_at < $period_end::TIMESTAMP
),
held AS (  -- an unknown reading ended the hold before it; of its own time it says nothing
    SELECT held_from // 3600000000 + hours_on AS hour_no, engine_series_no, requests_running, held_from, held_to
    FROM reading
    JOIN (SELECT unnest([0, 1]) AS hours_on) AS crossing ON held_from // 3600000000 + hours_on <= (held_to - 1) // 3600000000
    WHERE requests_running IS NOT NULL
),
placed AS (  -- clipped to the time that each dated row of the deployment is in force, in its pool, as GPU samples are
    SELECT
        place.charge_period_start, deployment.pool_no, place.deployment_no, requests_running,
        GREATEST(held_from, hour_no * 3600000000, epoch_us(deployment.effective_from)) AS placed_from,
        LEAST(held_to, (hour_no + 1) * 3600000000, epoch_us(deployment.effective_to))  AS placed_to
    FROM held
    JOIN metering.engine_place_hourly AS place
        ON place.charge_period_start = make_timestamp(held.hour_no * 3600000000) AND place.engine_series_no = held.engine_series_no
    JOIN book.deployment AS deployment USING (deployment_no)
    WHERE place.deployment_no > 0
),
told AS (  -- time that an engine tells is new where none that began before it tells it too
    SELECT
        placed.*, placed_to - placed_from AS held_us,
        placed_to - GREATEST(placed_from, COALESCE(MAX(placed_to) OVER earlier, placed_from)) AS new_us
    FROM placed
    WHERE placed_to > placed_from
    WINDOW earlier AS (
        PARTITION BY charge_period_start, pool_no, deployment_no ORDER BY placed_from, placed_to
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
)
SELECT
    charge_period_start, pool_no, deployment_no,
    COALESCE(SUM(held_us) FILTER (requests_running = 0), 0)::BIGINT AS empty_us,
    COALESCE(SUM(held_us) FILTER (requests_running > 0), 0)::BIGINT AS running_us,
    SUM(GREATEST(new_us, 0))::BIGINT                                AS covered_us
FROM told
GROUP BY charge_period_start, pool_no, deployment_no
