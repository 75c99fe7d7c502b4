-- What is given and cannot be used, and what is used and was not given: credits that do not fit their hours, and
-- deployments that do more than the capacity written for them.
CREATE VIEW export.credits AS
SELECT
    date_trunc('month', credit.charge_period_start)::TIMESTAMP AS billing_period, credit.credit_id,
    sum(credit.granted_nano)::HUGEINT AS granted_nano, sum(credit.applied_nano)::HUGEINT AS applied_nano
FROM metering.credit_hourly AS credit
SEMI JOIN metering.metered_hour USING (charge_period_start)
GROUP BY ALL;
COMMENT ON VIEW export.credits IS 'what each credit granted in the metered hours of each month, and what of it paid for something; the rest is lost';

CREATE VIEW export.overloads AS
WITH down AS (
    SELECT charge_period_start, pool_no, deployment_no, sum(capacity_token_us)::HUGEINT AS capacity_token_us
    FROM metering.downtime_hourly
    GROUP BY ALL
),
hour_load AS (  -- of an hour's capacity the part of a token counts as one, so that a full hour is not an overload
    SELECT
        deployment.deployment_id, hour_cost.prefill_weight + hour_cost.decode_weight AS used_weight,
        (cost.capacity_token_us - coalesce(down.capacity_token_us, 0) + 3599999999) // 3600000000 * policy.weight_scale AS capacity_weight
    FROM metering.deployment_hourly AS hour_cost
    JOIN metering.deployment_cost_hourly AS cost USING (charge_period_start, pool_no, deployment_no)
    JOIN metering.metered_hour AS metered USING (charge_period_start)
    JOIN book.policy AS policy ON policy.policy_version = metered.policy_version
    JOIN book.deployment_key AS deployment USING (deployment_no)
    LEFT JOIN down USING (charge_period_start, pool_no, deployment_no)  -- NULL: all could serve
    WHERE hour_cost.utilization = 'capacity' AND cost.capacity_token_us > coalesce(down.capacity_token_us, 0)
        AND hour_cost.charge_period_start > (SELECT max(charge_period_start) - INTERVAL 7 DAY FROM metering.metered_hour)
)
SELECT
    'exceeded_capacity' AS finding, deployment_id AS subject,
    max(used_weight // capacity_weight * 100 + used_weight % capacity_weight * 100 // capacity_weight)::VARCHAR AS detail,
    (count(*) FILTER (used_weight > capacity_weight))::HUGEINT AS affected, count(*)::HUGEINT AS total
FROM hour_load
GROUP BY deployment_id
HAVING affected > 0;
COMMENT ON VIEW export.overloads IS 'deployments that did more in an hour of the newest seven days than their capacity; detail is the most, in hundredths of it';

-- With the newest record of each, so that who reads it knows where to look.
CREATE OR REPLACE VIEW export.rejections AS
SELECT
    kind,
    CASE WHEN regexp_matches(stream, '^(kafka|http|prometheus|nvml):') THEN regexp_extract(stream, '^[a-z]+:([^/#]*)', 1)
        ELSE format END AS source,
    reason, count(*) AS records, count(replayed_at) AS replayed, arg_max(rejection.stream, rejection_no) AS newest_stream,
    arg_max(line, rejection_no) AS newest_line, arg_max(rejection.source, rejection_no) AS newest_reporter
FROM raw.rejection AS rejection
GROUP BY ALL;
COMMENT ON VIEW export.rejections IS 'records that were not landed, by source and reason, and where the newest of them is; newest_reporter may be empty';
