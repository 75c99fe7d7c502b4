-- The careful landing, step one: every sound sample beside what is held for its device and time, with a verdict.
CREATE OR REPLACE TEMP TABLE staged AS
SELECT
    decoded.record, decoded.claimed_at AS sampled_at, series.source_no AS device_no,
    series.series_no AS gpu_series_no, decoded.active AS active_ppm, decoded.sm_active AS sm_active_ppm,
    decoded.tensor_active AS tensor_active_ppm, decoded.dram_active AS dram_active_ppm, decoded.memory AS memory_used_bytes,
    decoded.power AS power_milliwatts, decoded.energy AS energy_millijoules
FROM decoded_gpu('numbered') AS decoded
JOIN known_series AS series ON series.series_key = decoded.series_key AND series.series_no IS NOT NULL
WHERE decoded.sound;

SET VARIABLE window_start = (SELECT min(sampled_at) FROM staged);
SET VARIABLE window_end = (SELECT max(sampled_at) + INTERVAL 1 MICROSECOND FROM staged);

CREATE OR REPLACE TEMP TABLE verdict AS
WITH versions AS (
    SELECT record, device_no, sampled_at,
        (gpu_series_no, active_ppm, sm_active_ppm, tensor_active_ppm, dram_active_ppm, memory_used_bytes, power_milliwatts,
            energy_millijoules) AS content
    FROM staged
    UNION ALL
    SELECT 0, device_no, sampled_at,
        (gpu_series_no, active_ppm, sm_active_ppm, tensor_active_ppm, dram_active_ppm, memory_used_bytes, power_milliwatts,
            energy_millijoules)
    FROM raw.gpu_sample AS held JOIN (SELECT DISTINCT device_no, sampled_at FROM staged) AS ids USING (device_no, sampled_at)
    WHERE held.sampled_at >= getvariable('window_start') AND held.sampled_at < getvariable('window_end')
),
ranked AS (
    SELECT record, content, first_value(content) OVER same AS first_content, row_number() OVER same AS nth
    FROM versions
    WINDOW same AS (PARTITION BY device_no, sampled_at ORDER BY record)
)
SELECT
    record,
    CASE WHEN nth = 1 THEN 'landed' WHEN content IS NOT DISTINCT FROM first_content THEN 'duplicate' ELSE 'conflict' END AS outcome
FROM ranked
WHERE record > 0;
