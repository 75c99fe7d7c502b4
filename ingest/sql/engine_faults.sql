-- Why a reading of an engine is not sound, as `reason: detail`, or NULL. Evaluated for rejected samples only; needs the macros of usage and gpu.
CREATE OR REPLACE TEMP MACRO seconds_fault(name, raw) AS CASE
    WHEN raw IS NULL OR seconds_sound(raw) THEN NULL
    WHEN raw[1] NOT IN ('-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9') THEN 'wrong_type: ' || name || ' is ' || shown(raw) || '; send a number of seconds'
    WHEN raw[1] = '-' THEN 'negative: ' || name || ' is ' || shown(raw) || '; it is zero or more'
    ELSE 'too_large: ' || name || ' is ' || shown(raw) || '; at most 100000000000 seconds are believed'
END;
-- A process may have run for years, so that no start is too old.
CREATE OR REPLACE TEMP MACRO start_fault(name, raw, parsed) AS
    CASE WHEN raw IS NOT NULL THEN time_fault(name, raw, CASE WHEN parsed IS NOT NULL THEN greatest(parsed, getvariable('oldest')) END) END;
