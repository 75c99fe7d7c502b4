-- Records that did not land, with why: the facts' fault, else the series' fault, else the line was no record at all.
SELECT
    faulty.record,
    coalesce(
        CASE WHEN faulty.gpu_uuid IS NULL AND faulty.sampled_at IS NULL THEN 'malformed: no GPU sample could be read' END,
        faulty.explained, series.fault) AS fault,
    '' AS source,
    unquoted(faulty.gpu_uuid) AS identity
FROM faulty_gpu('numbered') AS faulty
LEFT JOIN known_series AS series ON series.series_key = faulty.series_key -- NULL: malformed records have no series
WHERE faulty.sound IS NOT TRUE OR series.series_no IS NULL
ORDER BY faulty.record
