-- What is published: views with text ids instead of surrogates, no raw event and no caller in any of them. Each becomes
-- a table of the results file under its own name; exporters add `status`. Money is integer nano throughout.
CREATE SCHEMA export;

CREATE VIEW export.chargeback_hourly AS
SELECT
    charge.charge_period_start, charge.team AS team_id, charge.team_name, charge.project, charge.cost_center,
    charge.provider, model.model_id, pool.pool_id, deployment.deployment_id, charge.tier, charge.cost_kind, charge.cause,
    charge.token_kind, charge.consumed_tokens, charge.effective_cost_nano, charge.allocation_method, charge.confidence
FROM attribution.charge_hourly AS charge
JOIN book.model AS model USING (model_no)
JOIN book.pool_key AS pool USING (pool_no)
JOIN book.deployment_key AS deployment USING (deployment_no);
COMMENT ON VIEW export.chargeback_hourly IS 'charges of each hour by who pays, before settlement; effective_cost_nano NULL is unpriced';

CREATE VIEW export.chargeback AS
SELECT
    charge.billing_period, charge.team AS team_id, charge.team_name, charge.project, charge.cost_center,
    charge.provider, model.model_id, pool.pool_id, deployment.deployment_id, charge.tier, charge.cost_kind, charge.cause,
    charge.token_kind, charge.consumed_tokens, charge.effective_cost_nano, charge.allocation_method, charge.confidence,
    charge.policy_version
FROM attribution.charge_monthly AS charge
JOIN book.model AS model USING (model_no)
JOIN book.pool_key AS pool USING (pool_no)
JOIN book.deployment_key AS deployment USING (deployment_no);
COMMENT ON VIEW export.chargeback IS 'the lines of each month, settlement included';

CREATE VIEW export.settlement AS
SELECT
    moved.billing_period, moved.charge_period_start, moved.charge_period_end, moved.team AS team_id, moved.team_name,
    moved.project, moved.cost_center, pool.pool_id, moved.cost_kind, moved.cause, moved.shared_cost_id,
    moved.effective_cost_nano, moved.allocation_method, moved.confidence, moved.policy_version
FROM attribution.settlement AS moved
JOIN book.pool_key AS pool USING (pool_no);
COMMENT ON VIEW export.settlement IS 'what the month''s policies moved; every period, pool and shared cost sums to zero';

CREATE VIEW export.unit_cost AS
SELECT
    unit.billing_period, unit.team AS team_id, model.model_id, unit.token_kind, unit.basis, unit.effective_cost_nano,
    unit.consumed_tokens
FROM attribution.unit_cost_monthly AS unit
JOIN book.model AS model USING (model_no);
COMMENT ON VIEW export.unit_cost IS 'both parts of cost per token; basis is usage, allocation or fully_loaded_output';

CREATE VIEW export.hours AS
SELECT
    hour_cost.charge_period_start, pool.pool_id, deployment.deployment_id, hour_cost.paid_us, hour_cost.effective_cost_nano,
    hour_cost.utilization, hour_cost.observed_us, hour_cost.low_coverage, hour_cost.workload_nano, hour_cost.idle_nano,
    hour_cost.idle_cause, hour_cost.unmeasured_nano, hour_cost.unattributed_nano, hour_cost.prefill_nano,
    hour_cost.decode_nano, hour_cost.allocation_method, hour_cost.confidence
FROM metering.deployment_hourly AS hour_cost
JOIN book.pool_key AS pool USING (pool_no)
JOIN book.deployment_key AS deployment USING (deployment_no);
COMMENT ON VIEW export.hours IS 'what each deployment cost each hour and how that divides; the empty deployment is unscheduled';

CREATE VIEW export.refused_hours AS
SELECT charge_period_start, reason, refused_at FROM metering.refused_hour;
COMMENT ON VIEW export.refused_hours IS 'hours that could not be metered, and why';

CREATE VIEW export.counters AS
SELECT metric, team, model, pool, cost_kind, token_kind, state, charged, credited FROM attribution.counter;
COMMENT ON VIEW export.counters IS 'monotone sums; metric is cost (nano), tokens or gpu_us; charged - credited is the net';

CREATE VIEW export.months AS
SELECT
    month.billing_period, month.attributed_at, month.policy_version,
    (SELECT count(*) FROM metering.metered_hour AS metered
        WHERE date_trunc('month', metered.charge_period_start) = month.billing_period) AS metered_hours,
    (SELECT coalesce(sum(origin.effective_cost_nano), 0)::HUGEINT FROM metering.origin_charge_hourly AS origin
        SEMI JOIN metering.metered_hour USING (charge_period_start)
        WHERE date_trunc('month', origin.charge_period_start) = month.billing_period) AS origin_nano,
    (SELECT coalesce(sum(charge.effective_cost_nano), 0)::HUGEINT FROM attribution.charge_monthly AS charge
        WHERE charge.billing_period = month.billing_period AND charge.cost_kind <> 'external') AS charged_nano
FROM attribution.attributed_month AS month;
COMMENT ON VIEW export.months IS 'the law of each month: what the fleet cost, and what lines charge for it';

CREATE VIEW export.pool_shares AS
SELECT
    charge.billing_period, pool.pool_id,
    coalesce(sum(charge.effective_cost_nano), 0)::HUGEINT AS effective_cost_nano,
    coalesce(sum(charge.effective_cost_nano) FILTER (charge.cost_kind = 'workload'), 0)::HUGEINT AS workload_nano,
    coalesce(sum(charge.effective_cost_nano) FILTER (charge.cost_kind = 'workload' AND charge.team = '__unmapped__'), 0)::HUGEINT
        AS unmapped_nano,
    coalesce(sum(charge.effective_cost_nano) FILTER (charge.team = '__unattributed__'), 0)::HUGEINT AS unattributed_nano,
    coalesce(sum(charge.effective_cost_nano) FILTER (charge.cost_kind = 'idle'), 0)::HUGEINT AS idle_nano,
    coalesce(sum(charge.effective_cost_nano) FILTER (charge.team = '__unmeasured__'), 0)::HUGEINT AS unmeasured_nano,
    coalesce(sum(charge.consumed_tokens), 0)::HUGEINT AS consumed_tokens,
    coalesce(sum(charge.consumed_tokens) FILTER (charge.team = '__unmapped__'), 0)::HUGEINT AS unmapped_tokens,
    coalesce(sum(charge.consumed_tokens) FILTER (charge.cause = 'unplaced'), 0)::HUGEINT AS unplaced_tokens
FROM attribution.charge_monthly AS charge
JOIN book.pool_key AS pool USING (pool_no)
GROUP BY charge.billing_period, pool.pool_id;
COMMENT ON VIEW export.pool_shares IS 'how much of each pool''s month has nobody''s name on it; the empty pool holds unplaced and external usage and overhead';

CREATE VIEW export.ingest_totals AS
SELECT kind, format AS source, outcome, sum(records)::HUGEINT AS records
FROM (
    UNPIVOT (SELECT kind, format, received, landed, duplicates, superseded, conflicts, rejected, skewed FROM raw.batch)
    ON received, landed, duplicates, superseded, conflicts, rejected, skewed INTO NAME outcome VALUE records
) AS counted
GROUP BY kind, format, outcome;
COMMENT ON VIEW export.ingest_totals IS 'records by format and outcome; received = landed + duplicates + superseded + conflicts + rejected';

CREATE VIEW export.rejections AS
SELECT kind, format AS source, reason, count(*) AS records, count(replayed_at) AS replayed
FROM raw.rejection
GROUP BY kind, format, reason;
COMMENT ON VIEW export.rejections IS 'records that were not landed, by format and reason';

CREATE VIEW export.streams AS
SELECT stream, position, records, updated_at FROM raw.stream_position;
COMMENT ON VIEW export.streams IS 'how far each stream has been read';

CREATE VIEW export.step_runs AS
SELECT
    step, count(*) AS runs, max(finished_at) AS finished_at, arg_max(duration_us, finished_at) AS duration_us,
    arg_max(row_count, finished_at) AS row_count
FROM ledger.step_run
GROUP BY step;
COMMENT ON VIEW export.step_runs IS 'how often each step ran, and its last run';

CREATE VIEW export.job_runs AS
SELECT
    job, count(*) AS runs, count(*) FILTER (outcome <> 'ok') AS failed, max(started_at) AS started_at,
    arg_max(outcome, started_at) AS outcome, arg_max(detail, started_at) AS detail,
    arg_max(duration_us, started_at) AS duration_us
FROM ledger.job_run
GROUP BY job;
COMMENT ON VIEW export.job_runs IS 'how often each job ran and failed, and its last run';

CREATE VIEW export.sources AS
SELECT caller.source, max(usage.charge_period_start) AS last_hour
FROM metering.placed_usage_hourly AS usage
JOIN raw.caller AS caller USING (caller_no)
WHERE usage.charge_period_start > (SELECT max(charge_period_start) FROM metering.metered_hour) - INTERVAL 35 DAY
GROUP BY caller.source;
COMMENT ON VIEW export.sources IS 'the last hour each source was heard of in, among the last 35 days; an hour is provisional until all have reported past it';

CREATE VIEW export.progress AS
WITH metered AS (
    SELECT min(charge_period_start) AS first_hour, max(charge_period_start) AS last_hour, count(*) AS metered_hours
    FROM metering.metered_hour
),
dirty AS (
    SELECT charge_period_start FROM raw.dirty_hour
    UNION
    SELECT charge_period_start FROM book.dirty_hour
),
missing AS (
    SELECT min(charge_period_start) + INTERVAL 1 HOUR AS charge_period_start
    FROM (
        SELECT charge_period_start, lead(charge_period_start) OVER (ORDER BY charge_period_start) AS next_hour
        FROM metering.metered_hour
        WHERE charge_period_start >= coalesce((SELECT min(effective_from) FROM book.pool), TIMESTAMP '0001-01-01')
    ) AS metered_hour
    WHERE next_hour > charge_period_start + INTERVAL 1 HOUR
),
open_hour AS (
    SELECT charge_period_start FROM dirty
    UNION ALL
    SELECT charge_period_start FROM metering.refused_hour
    UNION ALL
    SELECT charge_period_start FROM missing
    UNION ALL
    SELECT last_hour FROM export.sources
)
SELECT
    metered.first_hour,
    least(metered.last_hour + INTERVAL 1 HOUR,
        (SELECT min(charge_period_start) FROM open_hour WHERE charge_period_start >= metered.first_hour)) AS watermark,
    metered.metered_hours,
    (SELECT count(*) FROM dirty SEMI JOIN metering.metered_hour USING (charge_period_start)) AS dirty_hours,
    (SELECT count(*) FROM metering.refused_hour) AS refused_hours,
    (SELECT max(policy_version) FROM book.policy) AS policy_version,
    (SELECT setting FROM book.setting WHERE name = 'billing_currency') AS billing_currency
FROM metered;
COMMENT ON VIEW export.progress IS 'one row: figures are final up to the watermark, the end of the metered hours before the first that is missing, dirty or refused, or in which some source was heard of last';
