-- The optimistic landing: every sound sample whose series is known, in one INSERT.
INSERT INTO raw.gpu_sample BY NAME
SELECT
    decoded.claimed_at AS sampled_at,
    series.source_no AS device_no,
    series.series_no AS gpu_series_no,
    decoded.active AS active_ppm,
    decoded.sm_active AS sm_active_ppm,
    decoded.tensor_active AS tensor_active_ppm,
    decoded.dram_active AS dram_active_ppm,
    decoded.memory AS memory_used_bytes,
    decoded.power AS power_milliwatts,
    decoded.energy AS energy_millijoules,
    getvariable('batch_no') AS batch_no
FROM taken AS decoded
JOIN known_series AS series ON series.series_key = decoded.series_key AND series.series_no IS NOT NULL
WHERE decoded.sound
