-- audit:  every_event_is_placed_once
-- reads:  raw.usage_event, metering.placed_usage_hourly, metering.observed_usage_hourly
-- params: period_start, period_end
-- why:    a series with two places at once would double its tokens, one without would lose them;
--         an event is placed, or observed beside another source's, and never both
WITH landed AS (
    SELECT COUNT(*) AS events
    FROM raw.usage_event
    WHERE occurred_at >= $period_start::TIMESTAMP AND occurred_at < $period_end::TIMESTAMP
),
placed AS (
    SELECT COALESCE(SUM(events), 0) AS events
    FROM metering.placed_usage_hourly
    WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
),
observed AS (
    SELECT COALESCE(SUM(events), 0) AS events
    FROM metering.observed_usage_hourly
    WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
)
SELECT
    $period_start::TIMESTAMP AS period_start, landed.events AS landed_events, placed.events AS placed_events,
    observed.events AS observed_events
FROM landed
CROSS JOIN placed
CROSS JOIN observed
WHERE landed.events <> placed.events + observed.events
