-- How many samples of the batch share engine and time with another sample, of the batch or of the time it spans.
WITH batch AS (
    SELECT engine_no, sampled_at FROM raw.engine_sample WHERE batch_no = getvariable('batch_no')
)
SELECT
    (SELECT count(*) - count(DISTINCT (engine_no, sampled_at)) FROM batch)
    + (
        SELECT count(*) FROM raw.engine_sample AS held JOIN batch USING (engine_no, sampled_at)
        WHERE held.sampled_at >= $window_start AND held.sampled_at < $window_end AND held.batch_no <> getvariable('batch_no')
    )
