-- Why a value is not sound, as `reason: detail`, or NULL. Evaluated for rejected records only, and for new series.
-- Of an object or a list only that it is one is shown: it may hold anything.
CREATE OR REPLACE TEMP MACRO shown(raw) AS
    CASE raw[1] WHEN '{' THEN 'an object' WHEN '[' THEN 'a list' ELSE raw[:40] END;
CREATE OR REPLACE TEMP MACRO count_fault(name, text, limit_) AS CASE
    WHEN text IS NULL THEN NULL
    WHEN regexp_full_match(text, '-[0-9.eE+-]+') THEN 'negative: ' || name || ' is ' || shown(text) || '; counts are zero or more'
    WHEN NOT regexp_full_match(text, '[0-9]+') THEN 'wrong_type: ' || name || ' is ' || shown(text) || '; send a whole number'
    WHEN coalesce(TRY_CAST(text AS HUGEINT), limit_ + 1) > limit_ THEN 'too_large: ' || name || ' is ' || shown(text) || '; at most ' || limit_ || ' is believed'
END;
CREATE OR REPLACE TEMP MACRO text_fault(name, raw, required, length_max) AS CASE
    WHEN raw IS NULL AND required THEN 'missing_field: ' || name || ' is absent; it is required'
    WHEN raw IS NULL THEN NULL
    WHEN raw[1] <> '"' THEN 'wrong_type: ' || name || ' is ' || shown(raw) || '; send text'
    WHEN required AND raw = '""' THEN 'missing_field: ' || name || ' is empty; it is required'
    WHEN length(raw->>'$') > length_max THEN 'too_long: ' || name || ' has ' || length(raw->>'$') || ' characters; at most ' || length_max
    WHEN regexp_matches(raw->>'$', '[\x00-\x1f\x7f]') THEN 'control_character: ' || name || ' holds a control character; remove it'
END;
CREATE OR REPLACE TEMP MACRO number_fault(name, raw, parsed) AS CASE
    WHEN raw IS NULL THEN NULL
    WHEN raw[1] NOT IN ('-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9') THEN 'wrong_type: ' || name || ' is ' || shown(raw) || '; send a number'
    WHEN raw[1] = '-' AND parsed IS DISTINCT FROM 0 THEN 'negative: ' || name || ' is ' || shown(raw) || '; it is zero or more'
    WHEN parsed IS NULL THEN 'too_large: ' || name || ' is ' || shown(raw) || '; it is not believed'
END;
CREATE OR REPLACE TEMP MACRO time_fault(name, raw, parsed) AS CASE
    WHEN raw IS NULL THEN 'missing_field: ' || name || ' is absent; it is required'
    WHEN raw[1] <> '"' THEN 'wrong_type: ' || name || ' is ' || shown(raw) || '; send RFC 3339 text such as 2026-10-01T12:00:00Z'
    WHEN parsed IS NULL AND getvariable('time_form') = '' AND regexp_full_match(raw[2:-2], '\d{4}-\d\d-\d\d[T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?')
        THEN 'no_zone: ' || name || ' is ' || shown(raw) || ', without a zone; end it in Z or an offset'
    WHEN parsed IS NULL THEN 'bad_time: ' || name || ' is ' || shown(raw) || '; send '
        || coalesce(nullif(getvariable('time_form'), ''), 'RFC 3339 text such as 2026-10-01T12:00:00Z')
    WHEN parsed < getvariable('oldest') THEN 'too_old: ' || name || ' is ' || shown(raw) || '; nothing before ' || strftime(getvariable('oldest'), '%Y-%m-%dT%H:%M:%SZ') || ' is accepted here'
    WHEN parsed > getvariable('ahead') THEN 'too_far_ahead: ' || name || ' is ' || shown(raw) || ', more than a day ahead of ' || strftime(getvariable('arrival'), '%Y-%m-%dT%H:%M:%SZ')
END;
-- A raw key is never kept: its SHA-256 names it as well, and is what LiteLLM calls it.
CREATE OR REPLACE TEMP MACRO sealed_key(key) AS
    CASE WHEN regexp_matches(key, '^(Bearer\s|sk-)') THEN sha256(regexp_replace(key, '^Bearer\s+', '')) ELSE key END;
CREATE OR REPLACE TEMP MACRO first_fault(faults) AS list_first(list_filter(faults, lambda fault: fault IS NOT NULL));
