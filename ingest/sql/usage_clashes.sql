-- How many rows of the batch share an id with another row of the batch, of the two hours around it, or of an event whose
-- clock once ran ahead. Zero on the clean path; then nothing needs classifying.
WITH batch AS (
    SELECT source_no, event_id FROM raw.usage_event WHERE batch_no = getvariable('batch_no')
)
SELECT
    (SELECT count(*) - count(DISTINCT (source_no, event_id)) FROM batch)
    + (
        SELECT count(*) FROM raw.usage_event AS held JOIN batch USING (source_no, event_id)
        WHERE held.occurred_at >= $window_start AND held.occurred_at < $window_end AND held.batch_no <> getvariable('batch_no')
    )
    + (SELECT count(*) FROM raw.skewed_event AS skewed JOIN batch USING (source_no, event_id))
    + (SELECT count(*) FROM raw.superseded_event AS history JOIN batch USING (source_no, event_id))
