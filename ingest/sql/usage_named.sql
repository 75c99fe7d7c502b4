-- Whether events of the batch, or events that it took back, have names that other events may share.
SELECT EXISTS (
    SELECT 1 FROM raw.usage_event
    WHERE batch_no = getvariable('batch_no') AND (response_key IS NOT NULL OR call_key IS NOT NULL)
    UNION ALL
    SELECT 1 FROM withdrawn WHERE getvariable('careful') AND (response_key IS NOT NULL OR call_key IS NOT NULL)
)
