-- Events whose clock ran up to a day ahead: placed at arrival time, with the time they claimed kept for comparison.
INSERT INTO raw.skewed_event
SELECT series.source_no, decoded.id, decoded.claimed_at, getvariable('arrival')
FROM decoded_usage('incoming') AS decoded
JOIN known_series AS series ON series.series_key = decoded.series_key AND series.series_no IS NOT NULL
WHERE decoded.sound AND decoded.claimed_at > getvariable('arrival')
