-- The careful landing, step two: the first sample of each engine and time, with what the others add to it. A held sample that
-- gets something added becomes one of this batch, so that its hours are metered again.
CREATE OR REPLACE TEMP TABLE completed AS
SELECT
    sampled_at, engine_no,
    coalesce(max(said) FILTER (field = 'software'), '') AS software,
    coalesce(max(said) FILTER (field = 'cluster'), '') AS cluster,
    coalesce(max(said) FILTER (field = 'node'), '') AS node,
    coalesce(max(said) FILTER (field = 'deployment'), '') AS deployment,
    coalesce(max(said) FILTER (field = 'namespace'), '') AS namespace,
    coalesce(max(said) FILTER (field = 'pod'), '') AS pod,
    coalesce(max(said) FILTER (field = 'replica'), '') AS replica,
    (max(said) FILTER (field = 'started_at'))::TIMESTAMP AS started_at,
    (max(said) FILTER (field = 'prompt_tokens'))::BIGINT AS prompt_tokens,
    (max(said) FILTER (field = 'cache_read_tokens'))::BIGINT AS cache_read_tokens,
    (max(said) FILTER (field = 'cache_read_host_tokens'))::BIGINT AS cache_read_host_tokens,
    (max(said) FILTER (field = 'cache_read_storage_tokens'))::BIGINT AS cache_read_storage_tokens,
    (max(said) FILTER (field = 'output_tokens'))::BIGINT AS output_tokens,
    (max(said) FILTER (field = 'requests'))::BIGINT AS requests,
    (max(said) FILTER (field = 'aborted_requests'))::BIGINT AS aborted_requests,
    (max(said) FILTER (field = 'prefill_us'))::BIGINT AS prefill_us,
    (max(said) FILTER (field = 'decode_us'))::BIGINT AS decode_us,
    (max(said) FILTER (field = 'idle_us'))::BIGINT AS idle_us,
    (max(said) FILTER (field = 'estimated_flops'))::HUGEINT AS estimated_flops,
    (max(said) FILTER (field = 'estimated_bytes'))::HUGEINT AS estimated_bytes,
    (max(said) FILTER (field = 'requests_running'))::INTEGER AS requests_running,
    (max(said) FILTER (field = 'requests_waiting'))::INTEGER AS requests_waiting,
    (max(said) FILTER (field = 'kv_cache_ppm'))::INTEGER AS kv_cache_ppm
FROM believed JOIN (
    SELECT DISTINCT engine_no, sampled_at FROM staged JOIN verdict USING (record) WHERE verdict.outcome = 'superseded'
) AS added_to USING (engine_no, sampled_at)
GROUP BY sampled_at, engine_no;

INSERT INTO raw.engine_series
SELECT (SELECT coalesce(max(engine_series_no), 0) FROM raw.engine_series) + row_number() OVER (ORDER BY fresh), fresh.*
FROM (
    SELECT DISTINCT engine_no, software, cluster, node, deployment, namespace, pod, replica FROM completed
    EXCEPT
    SELECT engine_no, software, cluster, node, deployment, namespace, pod, replica FROM raw.engine_series
) AS fresh;

DELETE FROM raw.engine_sample
WHERE sampled_at >= getvariable('window_start') AND sampled_at < getvariable('window_end')
    AND (engine_no, sampled_at) IN (SELECT (engine_no, sampled_at) FROM completed);

INSERT INTO raw.engine_sample BY NAME
SELECT staged.* EXCLUDE (record), getvariable('batch_no') AS batch_no
FROM staged JOIN verdict USING (record) ANTI JOIN completed USING (engine_no, sampled_at)
WHERE verdict.outcome = 'landed'
UNION ALL BY NAME
SELECT completed.* EXCLUDE (software, cluster, node, deployment, namespace, pod, replica), series.engine_series_no,
    getvariable('batch_no') AS batch_no
FROM completed JOIN raw.engine_series AS series USING (engine_no, software, cluster, node, deployment, namespace, pod, replica);
