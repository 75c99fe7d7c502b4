-- The careful landing, step two: one live revision per id; lower ones become history. `landed` counts ids, so that the order
-- in which revisions arrive changes no count.
INSERT INTO raw.dirty_hour
SELECT DISTINCT date_trunc('hour', held.occurred_at), getvariable('arrival')::TIMESTAMP
FROM held JOIN verdict USING (source_no, event_id)
WHERE held.is_live AND verdict.is_live
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
