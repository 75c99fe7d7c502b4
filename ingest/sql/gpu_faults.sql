-- Why a measurement is not sound, as `reason: detail`, or NULL. Evaluated for rejected samples only; needs the macros of usage.
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
