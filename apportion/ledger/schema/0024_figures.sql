-- What a figure needs to be worked out by hand: the prices in force, what external usage cost by whose price, and the capacity used.
CREATE VIEW export.price_terms AS
WITH term AS (
    SELECT
        pool_no, component, '' AS evidence, 'price' AS term, unit, price_nano AS value_nano, list_nano, NULL::INTEGER AS gpus, currency,
        purchase, source, effective_from, effective_to
    FROM book.rate
    UNION ALL
    SELECT pool_no, component, '', 'discount', '%', discount_e8 * 1000, NULL, NULL, '', '', '', effective_from, effective_to FROM book.discount
    UNION ALL
    SELECT 0, '', '', 'exchange_rate', 'unit', fx_nano, NULL, NULL, currency, '', '', effective_from, effective_to FROM book.fx
    UNION ALL
    SELECT
        pool_no, 'energy', 'energy', unnest(['price', 'pue', 'watts']), unnest(['kwh', '', 'gpu']),
        unnest([per_kwh_nano, pue_ppm::BIGINT * 1000, watts_per_gpu::BIGINT * 1000000000]), NULL, NULL, '', '', '', effective_from, effective_to
    FROM book.energy_rate
    UNION ALL
    SELECT 0, shared_cost_id, '', 'price', 'month', per_month_nano, NULL, NULL, '', '', '', effective_from, effective_to FROM book.shared_cost
    UNION ALL
    SELECT * FROM (
        SELECT
            pool_no, 'accelerator', 'commitment/' || commitment_id, unnest(['price', 'commitment', 'upfront', 'upfront']) AS term,
            unnest(['gpu_hour', 'hour', 'term', 'term']) AS unit,
            unnest([per_gpu_hour_nano, per_hour_nano, upfront_in_currency_nano, CASE WHEN currency <> '' THEN upfront_nano ELSE 0 END]) AS value_nano,
            NULL, CASE kind WHEN 'reserved' THEN gpus END, unnest([currency, currency, currency, '']), kind, '', effective_from, effective_to
        FROM book.commitment
    )
    WHERE value_nano > 0
    UNION ALL
    SELECT
        savings.pool_no, 'accelerator', 'commitment/' || commitment_id, 'price', 'gpu_hour', savings.rate_nano, NULL, NULL, commitment.currency,
        commitment.kind, '', min(savings.effective_from), max(savings.effective_to)
    FROM book.savings AS savings
    JOIN book.commitment AS commitment USING (commitment_id)
    WHERE savings.pool_no > 0
    GROUP BY savings.pool_no, commitment_id, savings.rate_nano, commitment.currency, commitment.kind
    UNION ALL
    SELECT * FROM (
        SELECT
            pool_no, unnest(['accelerator', 'accelerator', 'financing', 'financing', 'maintenance', 'colocation']) AS component,
            'asset/' || asset_id, unnest(['depreciation', 'depreciation', 'financing', 'financing', 'price', 'price']) AS term,
            unnest(['life', 'life', 'life', 'life', 'year', 'month']) AS unit,
            unnest([
                depreciation_in_currency_nano, CASE WHEN currency <> '' THEN depreciation_nano ELSE 0 END, financing_in_currency_nano,
                CASE WHEN currency <> '' THEN financing_nano ELSE 0 END, maintenance_per_year_nano, colocation_per_month_nano]) AS value_nano,
            NULL, gpus, unnest([currency, '', currency, '', currency, currency]), 'owned', '', effective_from,
            unnest([life_to, life_to, life_to, life_to, effective_to, effective_to])
        FROM book.asset
    )
    WHERE value_nano > 0
    UNION ALL
    SELECT pool_no, 'credit', 'credit/' || credit_id, 'credit', 'range', amount_nano, NULL, NULL, '', '', '', effective_from, effective_to
    FROM book.credit
)
SELECT
    pool_id, component, evidence, term, unit, value_nano::HUGEINT AS value_nano, list_nano::HUGEINT AS list_nano, gpus, currency, purchase,
    source, effective_from, effective_to
FROM term
JOIN book.pool_key USING (pool_no);
COMMENT ON VIEW export.price_terms IS 'every dated price, discount, exchange rate and contract behind origin charges; currency empty is the billing currency; value_nano of a discount is 1e-9 percent, of what has no currency 1e-9 units';

CREATE VIEW export.external_charges AS
SELECT
    usage.charge_period_start, coalesce(caller.team, nobody.team, '') AS team_id, usage.provider, model.model_id, usage.tier,
    usage.token_kind::VARCHAR AS token_kind, usage.cause, usage.price_evidence, usage.currency,
    sum(usage.consumed_tokens)::HUGEINT AS consumed_tokens, sum(usage.cost_in_currency_nano)::HUGEINT AS cost_in_currency_nano,
    sum(usage.effective_cost_nano)::HUGEINT AS effective_cost_nano
FROM metering.external_usage_hourly AS usage
JOIN book.model AS model USING (model_no)
LEFT JOIN attribution.caller_team AS caller  -- NULL: nobody
    ON caller.caller_no = usage.caller_no AND caller.effective_from <= usage.charge_period_start
    AND usage.charge_period_start < caller.effective_to
LEFT JOIN attribution.system_team AS nobody ON nobody.cost_kind = 'external' AND usage.caller_no = 0  -- NULL: a caller's
GROUP BY ALL;
COMMENT ON VIEW export.external_charges IS 'external usage of each hour by team, with the sources of its prices and what it came to in their currency';

CREATE OR REPLACE VIEW export.hours AS
SELECT
    hour_cost.charge_period_start, pool.pool_id, deployment.deployment_id, hour_cost.paid_us, hour_cost.effective_cost_nano,
    hour_cost.utilization, hour_cost.observed_us, hour_cost.low_coverage, hour_cost.workload_nano, hour_cost.idle_nano,
    hour_cost.idle_cause, hour_cost.unmeasured_nano, hour_cost.unattributed_nano, hour_cost.prefill_nano,
    hour_cost.decode_nano, hour_cost.allocation_method, hour_cost.confidence, hour_cost.active_ppm_us,
    hour_cost.prefill_weight + hour_cost.decode_weight AS used_weight, policy.weight_scale,
    (coalesce(cost.capacity_token_us, 0) - coalesce(down.capacity_token_us, 0))::HUGEINT AS capacity_token_us
FROM metering.deployment_hourly AS hour_cost
JOIN book.pool_key AS pool USING (pool_no)
JOIN book.deployment_key AS deployment USING (deployment_no)
LEFT JOIN metering.deployment_cost_hourly AS cost USING (charge_period_start, pool_no, deployment_no)  -- NULL: no capacity
LEFT JOIN (
    SELECT charge_period_start, pool_no, deployment_no, sum(capacity_token_us) AS capacity_token_us
    FROM metering.downtime_hourly
    GROUP BY charge_period_start, pool_no, deployment_no
) AS down USING (charge_period_start, pool_no, deployment_no)  -- NULL: all could serve
LEFT JOIN metering.metered_hour AS hour USING (charge_period_start)  -- NULL: no policy is known, and no weight
LEFT JOIN book.policy AS policy USING (policy_version);
COMMENT ON VIEW export.hours IS 'what each deployment cost each hour and how that divides; the empty deployment is unscheduled; used_weight is tokens x weight_scale, capacity_token_us what it could serve x microseconds of an hour';
