-- step:   metering.phase_method_hourly
-- grain:  charge_period_start, pool_no, deployment_no, phase_method
-- reads:  metering.model_usage_hourly, metering.engine_usage_hourly, metering.phase_coefficient, metering.cache_tier_hourly,
--         book.deployment, book.deployment_model, book.model, book.model_adapter, book.policy
-- params: period_start, period_end, policy_version
-- why:    what each rung of the ladder would split a workload by, or why it cannot say: an hour keeps them all, so that a choice can be
--         explained and another one weighed against it; a phase without weighted tokens has share 0, since nobody would bear its cost
WITH consumed AS (
    SELECT
        *, uncached_input_tokens + cache_read_tokens + cache_write_tokens AS prefill_tokens,
        output_tokens + reasoning_tokens AS decode_tokens
    FROM metering.model_usage_hourly
    WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
),
in_force AS (
    SELECT DISTINCT charge_period_start, pool_no, deployment_no FROM consumed
),
declared AS (  -- of several dated rows in one hour, the first says
    SELECT
        charge_period_start, pool_no, in_force.deployment_no, arg_min(role, effective_from) AS role,
        SUM(epoch_us(LEAST(effective_to, charge_period_start + INTERVAL 1 HOUR)) - epoch_us(GREATEST(effective_from, charge_period_start)))
            AS in_force_us
    FROM in_force
    JOIN book.deployment AS deployment USING (pool_no, deployment_no)
    WHERE effective_from < charge_period_start + INTERVAL 1 HOUR AND effective_to > charge_period_start
    GROUP BY charge_period_start, pool_no, in_force.deployment_no
),
engine AS (
    SELECT
        charge_period_start, pool_no, deployment_no, SUM(observed_us) AS observed_us, SUM(phase_observed_us) AS phase_observed_us,
        SUM(prefill_us) AS prefill_us, SUM(decode_us) AS decode_us
    FROM metering.engine_usage_hourly
    WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
    GROUP BY charge_period_start, pool_no, deployment_no
),
served AS (
    SELECT charge_period_start, pool_no, deployment_no, MIN(model_no) AS first_no, MAX(model_no) AS last_no
    FROM in_force
    JOIN book.deployment_model USING (deployment_no)
    WHERE effective_from < charge_period_start + INTERVAL 1 HOUR AND effective_to > charge_period_start
    GROUP BY charge_period_start, pool_no, deployment_no
),
adapted AS (  -- patterns of two models never share a name
    SELECT model.model_no, MIN(adapter.model_no) AS base_no
    FROM book.model AS model
    JOIN book.model_adapter AS adapter ON model.model_id LIKE adapter.pattern ESCAPE '\'
    GROUP BY model.model_no
),
worker AS (  -- an adapter is work of its model, and a name that nobody told is work of the only model that is served
    SELECT consumed.*, CASE WHEN first_no = last_no THEN first_no ELSE COALESCE(base_no, consumed.model_no) END AS work_no
    FROM consumed
    LEFT JOIN served USING (charge_period_start, pool_no, deployment_no)  -- NULL: it serves nothing
    LEFT JOIN adapted USING (model_no)                                    -- NULL: no adapter
),
coefficient AS (
    SELECT * EXCLUDE (inputs) FROM metering.phase_coefficient
    UNION ALL BY NAME
    SELECT
        deployment_no, 0 AS model_no, 'throughput/1' AS method, effective_from, effective_to,
        1000000000000000 // prefill_tokens_per_1000_s AS uncached_input_ps,
        1000000000000000 // COALESCE(cache_read_tokens_per_1000_s, prefill_tokens_per_1000_s) AS cache_read_ps,
        1000000000000000 // prefill_tokens_per_1000_s AS cache_write_ps, 1000000000000000 // decode_tokens_per_1000_s AS output_ps,
        1000000000000000 // decode_tokens_per_1000_s AS reasoning_ps, 0 AS context_as, 'modelled' AS confidence, '' AS failure
    FROM book.deployment  -- NULL: nothing is declared, which is what the first row of an hour says for all of it
),
turn AS (  -- of several rows in one hour the first counts: from the hour after all before it have ended
    SELECT
        * EXCLUDE (effective_from, effective_to),
        GREATEST(date_trunc('hour', effective_from), COALESCE(date_trunc('hour', MAX(effective_to) OVER earlier - INTERVAL 1 MICROSECOND)
            + INTERVAL 1 HOUR, effective_from - INTERVAL 1 HOUR)) AS hour_from,
        effective_to
    FROM coefficient
    WHERE effective_to > effective_from
    WINDOW earlier AS (PARTITION BY deployment_no, model_no, method ORDER BY effective_from, effective_to, failure, uncached_input_ps NULLS LAST
                       ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
),
counting AS (
    SELECT * FROM turn WHERE uncached_input_ps IS NOT NULL OR failure <> ''
),
ladder AS (
    SELECT unnest([2, 3, 4]) AS rung, unnest(['regression/1', 'roofline/1', 'throughput/1']) AS method,
        unnest(['no calibration is in force', 'no roofline of the model on these GPUs is in force', 'no throughput is declared']) AS absent
),
candidate AS (  -- coefficients of the model, else those of every model
    SELECT
        worker.*, rung, ladder.method, absent, COALESCE(own.method, every.method) IS NOT NULL AS is_known,
        COALESCE(own.uncached_input_ps, every.uncached_input_ps) AS uncached_input_ps,
        COALESCE(own.cache_read_ps, every.cache_read_ps) AS cache_read_ps,
        COALESCE(own.cache_write_ps, every.cache_write_ps) AS cache_write_ps, COALESCE(own.output_ps, every.output_ps) AS output_ps,
        COALESCE(own.reasoning_ps, every.reasoning_ps) AS reasoning_ps, COALESCE(own.context_as, every.context_as) AS context_as,
        COALESCE(own.confidence, every.confidence)::VARCHAR AS confidence, COALESCE(own.failure, every.failure) AS failure
    FROM worker
    CROSS JOIN ladder
    LEFT JOIN counting AS own    -- NULL: the method has nothing for this model now
        ON own.deployment_no = worker.deployment_no AND own.model_no = worker.work_no AND own.method = ladder.method
        AND own.hour_from <= worker.charge_period_start AND own.effective_to > worker.charge_period_start AND own.model_no > 0
    LEFT JOIN counting AS every  -- NULL: nor for all of them
        ON every.deployment_no = worker.deployment_no AND every.model_no = 0 AND every.method = ladder.method
        AND every.hour_from <= worker.charge_period_start AND every.effective_to > worker.charge_period_start
),
timed AS (
    SELECT
        charge_period_start, pool_no, deployment_no, rung, method,
        SUM(uncached_input_tokens::HUGEINT * uncached_input_ps + cache_read_tokens::HUGEINT * cache_read_ps
            + cache_write_tokens::HUGEINT * cache_write_ps) AS prefill_ps,
        SUM(output_tokens::HUGEINT * output_ps + reasoning_tokens::HUGEINT * reasoning_ps + context_tokens * context_as // 1000000)
            AS decode_ps,
        list_extract(['measured', 'calibrated', 'modelled', 'assumed'],
            MAX(list_position(['measured', 'calibrated', 'modelled', 'assumed'], confidence::VARCHAR))) AS confidence,
        '{"models":' || COUNT(*) || ',"prefill_tokens":' || SUM(prefill_tokens) || ',"decode_tokens":' || SUM(decode_tokens)
            || ',"uncached_input_ps":' || MAX(uncached_input_ps) || ',"cache_read_ps":' || MAX(cache_read_ps)
            || ',"cache_write_ps":' || MAX(cache_write_ps) || ',"output_ps":' || MAX(output_ps)
            || ',"reasoning_ps":' || MAX(reasoning_ps) || ',"context_as":' || MAX(context_as) || '}' AS inputs,
        CASE
            WHEN NOT BOOL_OR(is_known) THEN MIN(absent)
            WHEN NOT BOOL_AND(is_known) THEN 'nothing is known of model ' || COALESCE(MIN(model_id) FILTER (NOT is_known), '')
            ELSE COALESCE(MIN(failure) FILTER (failure <> ''), '') END AS failure
    FROM candidate
    LEFT JOIN book.model USING (model_no)
    GROUP BY charge_period_start, pool_no, deployment_no, rung, method
),
evidence AS (
    SELECT
        consumed.charge_period_start, consumed.pool_no, consumed.deployment_no, MIN(policy.min_coverage_ppm) AS min_coverage_ppm,
        SUM(prefill_tokens) AS prefill_tokens, SUM(decode_tokens) AS decode_tokens,
        SUM(prefill_weight) AS prefill_weight, SUM(decode_weight) AS decode_weight
    FROM consumed
    JOIN book.policy AS policy ON policy.policy_version = $policy_version::INTEGER
    GROUP BY consumed.charge_period_start, consumed.pool_no, consumed.deployment_no
),
told AS (
    SELECT evidence.*, COALESCE(role, 'both') AS role, GREATEST(observed_us, in_force_us, 0) AS engine_us,
        COALESCE(phase_observed_us, 0) AS phase_observed_us, prefill_us, decode_us,
        COALESCE(',"cache_read_device_bp":' || device_bp || ',"cache_read_host_bp":' || host_bp || ',"cache_read_storage_bp":' || storage_bp
            || CASE WHEN excess_tokens > 0 THEN ',"cache_read_excess_tokens":' || excess_tokens ELSE '' END, '') AS cache_tiers
    FROM evidence
    LEFT JOIN declared USING (charge_period_start, pool_no, deployment_no)
    LEFT JOIN engine USING (charge_period_start, pool_no, deployment_no)  -- NULL: no engine tells
    LEFT JOIN metering.cache_tier_hourly USING (charge_period_start, pool_no, deployment_no)  -- NULL: tiers of the cache weigh alike
),
method AS (
    SELECT
        charge_period_start, pool_no, deployment_no, 1 AS rung, 'role/1' AS phase_method,
        (role = 'prefill')::HUGEINT AS prefill, (role = 'decode')::HUGEINT AS decode, 'measured' AS confidence,
        '{"role":"' || role || '"}' AS inputs, CASE role WHEN 'both' THEN 'the deployment runs both phases' ELSE '' END AS failure
    FROM told
    UNION ALL BY NAME
    SELECT
        charge_period_start, pool_no, deployment_no, 1 AS rung, 'measured/1' AS phase_method, prefill_us AS prefill, decode_us AS decode,
        'measured' AS confidence,
        CASE WHEN phase_observed_us > 0 THEN '{"prefill_us":' || prefill_us || ',"decode_us":' || decode_us || ',"phase_observed_us":'
            || phase_observed_us || ',"engine_us":' || engine_us || '}' ELSE '{}' END AS inputs,
        CASE
            WHEN phase_observed_us = 0 THEN 'no engine told the time of both phases'
            WHEN phase_observed_us * 1000000 < engine_us * min_coverage_ppm THEN 'engines told the time of both phases for '
                || phase_observed_us * 100 // engine_us || ' % of theirs, and min_coverage asks for '
                || (min_coverage_ppm + 9999) // 10000 || ' %'
            ELSE '' END AS failure
    FROM told
    UNION ALL BY NAME
    SELECT
        charge_period_start, pool_no, deployment_no, rung, method AS phase_method, prefill_ps AS prefill, decode_ps AS decode, confidence,
        COALESCE(inputs, '{}') AS inputs, failure
    FROM timed
    UNION ALL BY NAME
    SELECT
        charge_period_start, pool_no, deployment_no, 5 AS rung, 'weights/1' AS phase_method, prefill_weight AS prefill,
        decode_weight AS decode, 'assumed' AS confidence,
        '{"prefill_weight":' || prefill_weight || ',"decode_weight":' || decode_weight || cache_tiers || '}' AS inputs, '' AS failure
    FROM told
    UNION ALL BY NAME
    SELECT
        charge_period_start, pool_no, deployment_no, 6 AS rung, 'blended/1' AS phase_method, prefill_tokens AS prefill,
        decode_tokens AS decode, 'assumed' AS confidence,
        '{"prefill_tokens":' || prefill_tokens || ',"decode_tokens":' || decode_tokens || '}' AS inputs, '' AS failure
    FROM told
),
masked AS (
    SELECT
        method.*, prefill_weight + decode_weight > 0 AS weighs, CASE WHEN prefill_weight > 0 THEN prefill ELSE 0 END AS prefill_share,
        CASE WHEN decode_weight > 0 THEN decode ELSE 0 END AS decode_share
    FROM method
    JOIN told USING (charge_period_start, pool_no, deployment_no)
),
judged AS (
    SELECT
        masked.* EXCLUDE (failure),
        CASE
            WHEN failure <> '' OR phase_method = 'weights/1' THEN failure
            WHEN NOT weighs THEN 'no token of the hour weighs anything'
            WHEN prefill_share + decode_share = 0 THEN 'it gives no time to the tokens that weigh something'
            ELSE '' END AS failure
    FROM masked
)
SELECT
    charge_period_start, pool_no, deployment_no, phase_method, rung,
    CASE WHEN failure = '' THEN prefill_share END::HUGEINT AS prefill_share,
    CASE WHEN failure = '' THEN decode_share END::HUGEINT AS decode_share,
    CASE WHEN failure = '' THEN confidence ELSE '' END::metering.confidence AS confidence, inputs, failure
FROM judged
