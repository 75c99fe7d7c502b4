-- decoded_gpu(relation): JSON text of the values of incoming GPU samples become typed columns, a series key and soundness.
-- Ratios become parts per million, half-even from the decimal text; absent stays NULL.
-- Nearly all have so few decimals that nothing is to be rounded, which is told by their text several times faster than by a division.
CREATE OR REPLACE TEMP MACRO millionths(raw) AS CASE WHEN regexp_full_match(raw::VARCHAR, '[01](\.\d{1,6})?')
    THEN (raw::VARCHAR::DECIMAL(18, 6) * 1000000)::INTEGER
    ELSE round_even(TRY_CAST(raw::VARCHAR AS DECIMAL(38, 30)) * 1000000, 0)::INTEGER END;
CREATE OR REPLACE TEMP MACRO thousandths(raw) AS CASE WHEN regexp_full_match(raw::VARCHAR, '\d{1,11}(\.\d{1,3})?')
    THEN (raw::VARCHAR::DECIMAL(18, 3) * 1000)::BIGINT
    ELSE round_even(TRY_CAST(raw::VARCHAR AS DECIMAL(38, 12)) * 1000, 0)::BIGINT END;
CREATE OR REPLACE TEMP MACRO ratio_sound(raw) AS raw IS NULL
    OR (raw[1] <> '"' AND coalesce(TRY_CAST(raw::VARCHAR AS DECIMAL(38, 30)) BETWEEN 0 AND 1, false));
CREATE OR REPLACE TEMP MACRO amount_sound(raw) AS raw IS NULL
    OR (raw[1] <> '"' AND coalesce(TRY_CAST(raw::VARCHAR AS DECIMAL(38, 12)) BETWEEN 0 AND 1000000000000000, false));
CREATE OR REPLACE TEMP MACRO decoded_gpu(relation) AS TABLE
WITH facts AS (
    SELECT
        raw.*,
        concat_ws(chr(31), coalesce(gpu_uuid::VARCHAR, ''), coalesce(mig_profile::VARCHAR, ''), coalesce(gpu::VARCHAR, ''),
            coalesce(cluster::VARCHAR, ''), coalesce(node::VARCHAR, ''), coalesce(deployment::VARCHAR, ''),
            coalesce(namespace::VARCHAR, ''), coalesce(pod::VARCHAR, ''), coalesce(container::VARCHAR, '')) AS series_key,
        instant(sampled_at) AS claimed_at, -- of usage_decoded.sql
        TRY_CAST(memory_used_bytes::VARCHAR AS BIGINT) AS memory
    FROM query_table(relation) AS raw
),
judged AS (
    SELECT
        facts.*,
        claimed_at >= getvariable('oldest') AND claimed_at <= getvariable('ahead')
        AND ratio_sound(active_ratio) AND ratio_sound(sm_active_ratio) AND ratio_sound(tensor_active_ratio)
        AND ratio_sound(dram_active_ratio)
        AND (memory_used_bytes IS NULL OR (regexp_full_match(memory_used_bytes::VARCHAR, '[0-9]+') AND memory IS NOT NULL))
        AND amount_sound(power_watts) AND amount_sound(energy_joules) AS sound
    FROM facts
)
SELECT
    judged.* EXCLUDE (memory),
    CASE WHEN sound THEN millionths(active_ratio) END AS active,
    CASE WHEN sound THEN millionths(sm_active_ratio) END AS sm_active,
    CASE WHEN sound THEN millionths(tensor_active_ratio) END AS tensor_active,
    CASE WHEN sound THEN millionths(dram_active_ratio) END AS dram_active,
    memory,
    CASE WHEN sound THEN thousandths(power_watts) END AS power,
    CASE WHEN sound THEN thousandths(energy_joules) END AS energy
FROM judged;
