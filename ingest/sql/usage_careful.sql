-- The careful landing, step two: one live revision per id; lower ones become history. `landed` counts ids, so that the order
-- in which revisions arrive changes no count.
INSERT INTO raw.dirty_hour
SELECT DISTINCT charge_period_start, getvariable('arrival')::TIMESTAMP
FROM (
    SELECT unnest([date_trunc('hour', held.occurred_at)]
        || CASE WHEN engines.known AND held.duration_us > epoch_us(held.occurred_at) % 3600000000
            THEN range(date_trunc('hour', held.occurred_at - to_microseconds(least(held.duration_us, 86400000000))),
                       date_trunc('hour', held.occurred_at), INTERVAL 1 HOUR) ELSE [] END) AS charge_period_start
    FROM held
    JOIN verdict USING (source_no, event_id)
    CROSS JOIN (SELECT count(*) > 0 AS known FROM (SELECT 1 AS one FROM raw.engine_sample LIMIT 1) AS one_sample) AS engines
    WHERE held.is_live AND verdict.is_live
) AS reached
ON CONFLICT DO NOTHING;

DELETE FROM withdrawn;

INSERT INTO withdrawn
SELECT held.occurred_at, held.response_key, held.call_key
FROM held JOIN verdict USING (source_no, event_id)
WHERE held.is_live AND verdict.is_live;

INSERT INTO raw.superseded_event BY NAME
SELECT held.* EXCLUDE (is_live, row_no, claimed_at)
FROM held JOIN verdict USING (source_no, event_id)
WHERE held.is_live AND verdict.is_live;

DELETE FROM raw.usage_event
WHERE rowid IN (
    SELECT held.row_no FROM held JOIN verdict USING (source_no, event_id) WHERE held.is_live AND verdict.is_live
);

INSERT INTO raw.usage_event BY NAME
SELECT staged.* EXCLUDE (record, claimed_at), getvariable('batch_no') AS batch_no
FROM staged JOIN verdict USING (record)
WHERE verdict.is_live;

INSERT INTO raw.superseded_event BY NAME
SELECT staged.* EXCLUDE (record, claimed_at), getvariable('batch_no') AS batch_no
FROM staged JOIN verdict USING (record)
WHERE verdict.outcome = 'superseded' AND NOT verdict.is_live;

INSERT INTO raw.skewed_event
SELECT staged.source_no, staged.event_id, staged.claimed_at, staged.occurred_at
FROM staged JOIN verdict USING (record)
WHERE verdict.outcome IN ('landed', 'superseded') AND staged.claimed_at > staged.occurred_at;
