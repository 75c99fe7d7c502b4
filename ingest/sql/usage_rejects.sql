-- Records that did not land, with why: the facts' fault, else the series' fault, else the line was no record at all.
SELECT
    faulty.record,
    coalesce(
        CASE WHEN faulty.event_id IS NULL AND faulty.source IS NULL AND faulty.occurred_at IS NULL AND faulty.model IS NULL
            THEN 'malformed: no usage event could be read' END,
        faulty.explained, series.fault) AS fault,
    CASE WHEN faulty.source[1] = '"' THEN (faulty.source->>'$')[:256] ELSE '' END AS source,
    faulty.id AS identity
FROM faulty_usage('numbered') AS faulty
LEFT JOIN known_series AS series ON series.series_key = faulty.series_key -- NULL: malformed records have no series
WHERE faulty.sound IS NOT TRUE OR series.series_no IS NULL
ORDER BY faulty.record
