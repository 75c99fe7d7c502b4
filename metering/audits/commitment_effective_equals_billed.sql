-- audit:  commitment_effective_equals_billed
-- reads:  book.commitment, metering.commitment_hourly, book.dirty_hour
-- params: period_start, period_end
-- why:    over a term that is wholly metered, what a commitment costs, used and unused, is what its invoices say
WITH term AS (  -- hours of the term that wait to be metered again are of another config
    SELECT
        commitment_id, date_trunc('hour', effective_from) AS first_hour,
        date_diff('hour', date_trunc('hour', effective_from), date_trunc('hour', effective_to - INTERVAL 1 MICROSECOND)) + 1 AS term_hours,
        date_trunc('hour', effective_to - INTERVAL 1 MICROSECOND) AS last_hour
    FROM book.commitment AS commitment
    WHERE effective_from < $period_end::TIMESTAMP AND effective_to > $period_start::TIMESTAMP
        AND NOT EXISTS (
            SELECT 1 FROM book.dirty_hour
            WHERE charge_period_start >= date_trunc('hour', commitment.effective_from) AND charge_period_start < commitment.effective_to
                AND NOT (charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP))
)
SELECT
    commitment_id, first_hour, SUM(effective_cost_nano) AS effective_nano, SUM(billed_cost_nano) AS billed_nano
FROM term
JOIN metering.commitment_hourly USING (commitment_id)
WHERE charge_period_start >= first_hour AND charge_period_start <= last_hour
GROUP BY commitment_id, first_hour, term_hours
HAVING COUNT(DISTINCT charge_period_start) = term_hours AND SUM(effective_cost_nano) <> SUM(billed_cost_nano)
