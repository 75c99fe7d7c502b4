-- Sound combinations get their numbers, unsound ones keep their fault: both become known to the session.
-- Reads judged_series and book.model; fills known_series, raw.engine, raw.engine_series.
CREATE OR REPLACE TEMP TABLE modelled_series AS
SELECT judged.*, model.model_no
FROM judged_series AS judged JOIN book.model AS model ON model.model_id = judged.model
WHERE judged.fault IS NULL;

INSERT INTO raw.engine
SELECT (SELECT coalesce(max(engine_no), 0) FROM raw.engine) + row_number() OVER (ORDER BY fresh), fresh.*
FROM (
    SELECT DISTINCT instance, engine, model_no FROM modelled_series
    EXCEPT
    SELECT instance, engine, model_no FROM raw.engine
) AS fresh;

CREATE OR REPLACE TEMP TABLE numbered_series AS
SELECT modelled.*, known.engine_no
FROM modelled_series AS modelled JOIN raw.engine AS known USING (instance, engine, model_no);

INSERT INTO raw.engine_series
SELECT (SELECT coalesce(max(engine_series_no), 0) FROM raw.engine_series) + row_number() OVER (ORDER BY fresh), fresh.*
FROM (
    SELECT DISTINCT engine_no, software, cluster, node, deployment, namespace, pod, replica FROM numbered_series
    EXCEPT
    SELECT engine_no, software, cluster, node, deployment, namespace, pod, replica FROM raw.engine_series
) AS fresh;

INSERT INTO known_series
SELECT numbered.series_key, series.engine_series_no, series.engine_no, NULL, 0
FROM numbered_series AS numbered
JOIN raw.engine_series AS series USING (engine_no, software, cluster, node, deployment, namespace, pod, replica)
UNION ALL
SELECT series_key, NULL, NULL, fault, 0 FROM judged_series WHERE fault IS NOT NULL;
