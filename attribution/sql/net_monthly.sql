-- step:   attribution.net_monthly
-- grain:  billing_period, metric, team, model, pool, cost_kind, token_kind, state
-- reads:  attribution.charge_monthly, attribution.label_set, metering.deployment_hourly, metering.metered_hour,
--         book.model, book.pool_key
-- params: period_start, period_end
-- why:    counters say what the statement says, so they are summed from its lines; labels beyond the bound are `other`
WITH line AS (
    SELECT
        CASE WHEN label.in_other THEN 'other' ELSE charge.team END    AS team,
        CASE WHEN label.in_other THEN 'other' ELSE model.model_id END AS model,
        pool.pool_id, charge.cost_kind, charge.token_kind, charge.consumed_tokens, charge.effective_cost_nano
    FROM attribution.charge_monthly AS charge
    JOIN book.model AS model USING (model_no)
    JOIN book.pool_key AS pool USING (pool_no)
    LEFT JOIN attribution.label_set AS label  -- NULL: system teams' own lines, which are bounded by themselves
        ON label.team = charge.team AND label.model = model.model_id
    WHERE charge.billing_period = $period_start::TIMESTAMP
),
gpu_time AS (  -- what is neither is idle, so that the states of an hour add up to what was paid for
    SELECT
        deployment_hour.pool_no, deployment_hour.deployment_no, deployment_hour.paid_us,
        COALESCE(workload_us, deployment_hour.paid_us::HUGEINT * workload_nano // GREATEST(effective_cost_nano, 1))     AS workload_us,
        COALESCE(unmeasured_us, deployment_hour.paid_us::HUGEINT * unmeasured_nano // GREATEST(effective_cost_nano, 1)) AS unmeasured_us
    FROM metering.deployment_hourly AS deployment_hour
    JOIN metering.metered_hour USING (charge_period_start)
    WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
),
stated AS (
    SELECT pool_no, 'unscheduled' AS state, paid_us::HUGEINT AS gpu_us FROM gpu_time WHERE deployment_no = 0
    UNION ALL SELECT pool_no, 'workload', workload_us FROM gpu_time WHERE deployment_no <> 0
    UNION ALL SELECT pool_no, 'unmeasured', unmeasured_us FROM gpu_time WHERE deployment_no <> 0
    UNION ALL SELECT pool_no, 'idle', paid_us - workload_us - unmeasured_us FROM gpu_time WHERE deployment_no <> 0
),
net AS (
    SELECT
        'cost' AS metric, team, model, pool_id AS pool, cost_kind, token_kind, '' AS state, SUM(effective_cost_nano) AS net
    FROM line
    WHERE effective_cost_nano IS NOT NULL
    GROUP BY ALL
    UNION ALL
    SELECT 'tokens', team, model, '', '', token_kind, '', SUM(consumed_tokens)
    FROM line
    WHERE consumed_tokens IS NOT NULL
    GROUP BY ALL
    UNION ALL
    SELECT 'gpu_us', '', '', pool.pool_id, '', '', stated.state, SUM(stated.gpu_us)
    FROM stated
    JOIN book.pool_key AS pool USING (pool_no)
    GROUP BY ALL
)
SELECT
    $period_start::TIMESTAMP AS billing_period, metric, team, model, pool, cost_kind, token_kind, state, net::HUGEINT AS net
FROM net
