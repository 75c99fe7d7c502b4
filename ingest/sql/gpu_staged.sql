-- The careful landing, step one: every sound sample beside what is held for its device and time, with a verdict.
-- Samples of one device and time that contradict nothing said before complete each other: an exporter's batch may be split
-- between its gauges. What contradicts in any field is a conflict, and says nothing in any other field either.
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

CREATE OR REPLACE TEMP TABLE versions AS
SELECT * FROM staged
UNION ALL
SELECT 0, held.sampled_at, held.device_no, held.* EXCLUDE (sampled_at, device_no, batch_no)
FROM raw.gpu_sample AS held JOIN (SELECT DISTINCT device_no, sampled_at FROM staged) AS ids USING (device_no, sampled_at)
WHERE held.sampled_at >= getvariable('window_start') AND held.sampled_at < getvariable('window_end');

-- What is said where not all say the same: one row per record and field that has a value, its place field by field.
CREATE OR REPLACE TEMP TABLE stated AS
WITH differing AS (
    SELECT device_no, sampled_at
    FROM versions
    GROUP BY device_no, sampled_at
    HAVING count(DISTINCT (gpu_series_no, active_ppm, sm_active_ppm, tensor_active_ppm, dram_active_ppm, memory_used_bytes,
        power_milliwatts, energy_millijoules)) > 1
),
told AS (
    SELECT
        record, sampled_at, device_no, nullif(gpu, '') AS gpu, nullif(cluster, '') AS cluster, nullif(node, '') AS node,
        nullif(deployment, '') AS deployment, nullif(namespace, '') AS namespace, nullif(pod, '') AS pod,
        nullif(container, '') AS container, active_ppm::VARCHAR AS active_ppm, sm_active_ppm::VARCHAR AS sm_active_ppm,
        tensor_active_ppm::VARCHAR AS tensor_active_ppm, dram_active_ppm::VARCHAR AS dram_active_ppm,
        memory_used_bytes::VARCHAR AS memory_used_bytes, power_milliwatts::VARCHAR AS power_milliwatts,
        energy_millijoules::VARCHAR AS energy_millijoules
    FROM versions
    JOIN differing USING (device_no, sampled_at)
    JOIN raw.gpu_series AS series USING (gpu_series_no, device_no)
)
UNPIVOT told ON COLUMNS(* EXCLUDE (record, sampled_at, device_no)) INTO NAME field VALUE said;

-- Of each device and time, what its records may add up to. A round takes what stands before the first contradiction as said,
-- and strikes out every record against it; each round settles one field more at least, so that there are never many.
CREATE OR REPLACE TEMP TABLE believed AS
WITH RECURSIVE rounds AS (
    SELECT 0 AS round_no, stated.* FROM stated
    UNION ALL
    SELECT round_no + 1, record, sampled_at, device_no, field, said
    FROM (
        SELECT *, arg_min(said, record) FILTER (record < contradicted_at) OVER (PARTITION BY device_no, sampled_at, field) AS settled
        FROM (
            SELECT *, min(record) FILTER (said <> first_said) OVER (PARTITION BY device_no, sampled_at) AS contradicted_at
            FROM (
                SELECT *, first_value(said) OVER (PARTITION BY device_no, sampled_at, field ORDER BY record) AS first_said
                FROM rounds
            )
        )
        WHERE contradicted_at IS NOT NULL
    )
    QUALIFY NOT bool_or(coalesce(said <> settled, false)) OVER (PARTITION BY device_no, sampled_at, record)
)
SELECT device_no, sampled_at, record, field, said, row_number() OVER (PARTITION BY device_no, sampled_at, field ORDER BY record) = 1 AS is_new
FROM (SELECT * FROM rounds QUALIFY round_no = max(round_no) OVER (PARTITION BY device_no, sampled_at));

CREATE OR REPLACE TEMP TABLE verdict AS
WITH ranked AS (
    SELECT record, row_number() OVER (PARTITION BY device_no, sampled_at ORDER BY record) AS nth FROM versions
),
adding AS (
    SELECT record, bool_or(is_new) AS adds FROM believed WHERE record > 0 GROUP BY record
),
telling AS (
    SELECT DISTINCT record FROM stated WHERE record > 0
)
SELECT
    ranked.record,
    CASE
        WHEN nth = 1 THEN 'landed'
        WHEN telling.record IS NOT NULL AND adding.record IS NULL THEN 'conflict'
        WHEN adding.adds THEN 'superseded'
        ELSE 'duplicate'
    END AS outcome
FROM ranked
LEFT JOIN telling USING (record)  -- NULL: says what all others say, or nothing
LEFT JOIN adding USING (record)   -- NULL: nothing of it is believed
WHERE ranked.record > 0;
