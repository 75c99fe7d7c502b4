-- faulty_gpu(relation): why a GPU sample is not sound, as `reason: detail`. Evaluated for rejected rows only.
CREATE OR REPLACE TEMP MACRO ratio_fault(name, raw) AS CASE
    WHEN raw IS NULL OR ratio_sound(raw) THEN NULL
    WHEN TRY_CAST(raw::VARCHAR AS DECIMAL(38, 12)) IS NULL THEN 'wrong_type: ' || name || ' is ' || shown(raw) || '; send a number from 0 to 1'
    WHEN raw[1] = '-' THEN 'negative: ' || name || ' is ' || shown(raw) || '; it is from 0 to 1'
    ELSE 'too_large: ' || name || ' is ' || shown(raw) || '; it is a ratio from 0 to 1 (percent needs a mapping with unit = "percent")'
END;
CREATE OR REPLACE TEMP MACRO amount_fault(name, raw) AS CASE
    WHEN raw IS NULL OR amount_sound(raw) THEN NULL
    WHEN raw[1] = '-' THEN 'negative: ' || name || ' is ' || shown(raw) || '; it is zero or more'
    WHEN TRY_CAST(raw::VARCHAR AS DOUBLE) IS NULL THEN 'wrong_type: ' || name || ' is ' || shown(raw) || '; send a number'
    ELSE 'too_large: ' || name || ' is ' || shown(raw) || '; it is not believed'
END;
CREATE OR REPLACE TEMP MACRO faulty_gpu(relation) AS TABLE
SELECT
    decoded.*,
    coalesce(
        text_fault('gpu_uuid', gpu_uuid, true, 256), time_fault('sampled_at', sampled_at, claimed_at),
        ratio_fault('active_ratio', active_ratio), ratio_fault('sm_active_ratio', sm_active_ratio),
        ratio_fault('tensor_active_ratio', tensor_active_ratio), ratio_fault('dram_active_ratio', dram_active_ratio),
        count_fault('memory_used_bytes', memory_used_bytes::VARCHAR, 9223372036854775807),
        amount_fault('power_watts', power_watts), amount_fault('energy_joules', energy_joules)
    ) AS explained
FROM decoded_gpu(relation) AS decoded;
