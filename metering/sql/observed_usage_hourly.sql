-- step:   metering.observed_usage_hourly
-- grain:  charge_period_start, source_no, believed_no
-- reads:  metering.observed_event
-- params: period_start, period_end
-- why:    what is not metered is neither lost nor unseen: counted by who told of it and who was believed instead
SELECT
    charge_period_start, source_no, believed_no, COUNT(*) AS events, SUM(consumed_tokens)::BIGINT AS consumed_tokens
FROM metering.observed_event
WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
GROUP BY charge_period_start, source_no, believed_no
