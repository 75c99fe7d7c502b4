-- step:   metering.deployment_hourly
-- grain:  charge_period_start, deployment_no, pool_no
-- reads:  metering.deployment_cost_hourly, metering.downtime_hourly, metering.gpu_activity_hourly, metering.phase_share_hourly,
--         metering.prefill_unplaced_hourly, book.policy
-- params: period_start, period_end, policy_version
-- why:    how much of a deployment's hour was work, how much was idle and how much nobody saw; work without tokens is kept apart,
--         so that a lost log never looks idle and a telemetry gap never lands on a team; what could not serve is idle before all that;
--         a reader of prompts that cannot be placed is all work where its telemetry shows any, since nobody knows how much;
--         GPU time divides as cost does, and where there is no cost too
WITH down AS (
    SELECT charge_period_start, pool_no, deployment_no, SUM(down_us)::BIGINT AS down_us, SUM(capacity_token_us) AS capacity_token_us
    FROM metering.downtime_hourly
    WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
    GROUP BY charge_period_start, pool_no, deployment_no
),
evidence AS (
    SELECT
        cost.*, paid_us - COALESCE(down_us, 0) AS serving_us,
        cost.capacity_token_us - COALESCE(down.capacity_token_us, 0) AS serving_token_us,
        effective_cost_nano - COALESCE(effective_cost_nano::HUGEINT * down_us // GREATEST(paid_us, 1), 0)::BIGINT AS serving_nano,
        COALESCE(activity.observed_us, 0) AS observed_us, COALESCE(activity.active_ppm_us, 0)::HUGEINT AS active_ppm_us,
        COALESCE(phase.consumed_tokens, 0) AS consumed_tokens,
        COALESCE(phase.prefill_weight, 0)::HUGEINT AS prefill_weight, COALESCE(phase.decode_weight, 0)::HUGEINT AS decode_weight,
        COALESCE(phase.prefill_share, 0)::HUGEINT AS prefill_share, COALESCE(phase.decode_share, 0)::HUGEINT AS decode_share,
        COALESCE(phase.phase_method, 'weights/1') AS phase_method, COALESCE(phase.confidence, 'assumed') AS confidence,
        COALESCE(phase.consumed_tokens, 0) = 0 AND COALESCE(unplaced.is_asked, FALSE) AS is_asked,
        COALESCE(phase.consumed_tokens, 0) = 0 AND COALESCE(unplaced.is_busy, FALSE) AND utilization <> 'active' AS is_unplaced_work,
        policy.min_coverage_ppm, policy.weight_scale
    FROM metering.deployment_cost_hourly AS cost
    JOIN book.policy AS policy ON policy.policy_version = $policy_version::INTEGER
    LEFT JOIN down USING (charge_period_start, pool_no, deployment_no)                                      -- NULL: all could serve
    LEFT JOIN metering.gpu_activity_hourly AS activity USING (charge_period_start, pool_no, deployment_no)  -- NULL: unseen
    LEFT JOIN metering.phase_share_hourly AS phase USING (charge_period_start, pool_no, deployment_no)      -- NULL: no usage
    LEFT JOIN metering.prefill_unplaced_hourly AS unplaced USING (charge_period_start, pool_no, deployment_no)  -- NULL: its prompts are
    WHERE cost.charge_period_start >= $period_start::TIMESTAMP AND cost.charge_period_start < $period_end::TIMESTAMP
),
unit AS (  -- of capacity: whole hours keep the products of long scales and large fleets inside 128 bits
    SELECT
        evidence.*, prefill_weight + decode_weight AS used_weight,
        CASE WHEN serving_token_us % 3600000000 = 0 THEN 3600000000 WHEN serving_token_us % 1000000 = 0 THEN 1000000 ELSE 1 END AS unit_us
    FROM evidence
),
fraction AS (  -- the workload is measured x busy // available
    SELECT
        unit.*,
        CASE WHEN utilization = 'active'
            THEN (serving_nano::HUGEINT * LEAST(observed_us, serving_us) // GREATEST(serving_us, 1))::BIGINT
            ELSE serving_nano END AS measured_nano,
        CASE WHEN utilization = 'active' THEN LEAST(observed_us, serving_us) ELSE serving_us END AS measured_us,
        CASE CASE WHEN is_unplaced_work THEN 'unplaced' ELSE utilization END
            WHEN 'unplaced' THEN 1
            WHEN 'active' THEN active_ppm_us
            WHEN 'capacity' THEN
                CASE WHEN used_weight > serving_token_us // 3600000000 * weight_scale + weight_scale THEN serving_token_us // unit_us * weight_scale
                    ELSE LEAST(used_weight * (3600000000 // unit_us), serving_token_us // unit_us * weight_scale) END
            WHEN 'allocation' THEN CASE WHEN consumed_tokens > 0 THEN 1 ELSE 0 END
            ELSE 0 END::HUGEINT AS busy,
        GREATEST(CASE CASE WHEN is_unplaced_work THEN 'unplaced' ELSE utilization END
            WHEN 'active' THEN observed_us::HUGEINT * 1000000
            WHEN 'capacity' THEN serving_token_us // unit_us * weight_scale
            ELSE 1 END, 1)::HUGEINT AS available
    FROM unit
),
dividend AS (  -- long division by digits of 1e7: measured x busy alone can exceed 128 bits where weights have nine decimals
    SELECT
        fraction.*, measured_nano // 100000000000000 * busy AS high, measured_nano // 10000000 % 10000000 * busy AS middle,
        measured_us // 100000000000000 * busy AS high_us, measured_us // 10000000 % 10000000 * busy AS middle_us
    FROM fraction
),
divided AS (
    SELECT
        dividend.*, high // available * 100000000000000 + (high % available * 10000000 + middle) // available * 10000000 AS quotient,
        (high % available * 10000000 + middle) % available * 10000000 + measured_nano % 10000000 * busy                  AS low,
        high_us // available * 100000000000000 + (high_us % available * 10000000 + middle_us) // available * 10000000 AS quotient_us,
        (high_us % available * 10000000 + middle_us) % available * 10000000 + measured_us % 10000000 * busy             AS low_us
    FROM dividend
),
worked AS (
    SELECT
        divided.*, (quotient + low // available)::BIGINT AS workload_nano, (quotient_us + low_us // available)::BIGINT AS workload_us, prefill_share + decode_share AS whole_share
    FROM divided
),
parted AS (
    SELECT
        worked.*, GREATEST(whole_share, 1) AS divisor, workload_nano // 100000000000000 * decode_share AS share_high,
        workload_nano // 10000000 % 10000000 * decode_share AS share_middle
    FROM worked
),
part AS (
    SELECT
        parted.*, share_high // divisor * 100000000000000 + (share_high % divisor * 10000000 + share_middle) // divisor * 10000000
            AS share_quotient,
        (share_high % divisor * 10000000 + share_middle) % divisor * 10000000 + workload_nano % 10000000 * decode_share AS share_low
    FROM parted
),
phased AS (  -- a tie between the two remainders goes to decode, whose name sorts first: that is rounding half up
    SELECT
        part.*, CASE WHEN whole_share = 0 THEN 0 ELSE (share_quotient + share_low // divisor
            + CASE WHEN share_low % divisor * 2 >= whole_share THEN 1 ELSE 0 END)::BIGINT END AS decode_nano
    FROM part
)
SELECT
    charge_period_start, pool_no, deployment_no, paid_us, effective_cost_nano, utilization, observed_us, active_ppm_us,
    utilization = 'active' AND observed_us::HUGEINT * 1000000 < min_coverage_ppm::HUGEINT * serving_us AS low_coverage,
    prefill_weight, decode_weight, workload_nano, effective_cost_nano - serving_nano + measured_nano - workload_nano AS idle_nano,
    CASE CASE WHEN is_asked AND utilization <> 'active' THEN 'unplaced' ELSE utilization END
        WHEN 'unplaced' THEN 'unplaced_prefill'
        WHEN 'active' THEN 'inactive'
        WHEN 'capacity' THEN CASE WHEN used_weight = 0 THEN 'no_requests' ELSE 'below_capacity' END
        WHEN 'allocation' THEN 'no_requests'
        ELSE 'unscheduled' END AS idle_cause,
    serving_nano - measured_nano AS unmeasured_nano, workload_us, (serving_us - measured_us)::BIGINT AS unmeasured_us,
    CASE WHEN whole_share = 0 THEN 0 ELSE workload_nano - decode_nano END::BIGINT AS prefill_nano,
    decode_nano::BIGINT AS decode_nano, CASE WHEN whole_share = 0 THEN workload_nano ELSE 0 END::BIGINT AS unattributed_nano,
    CASE WHEN deployment_no = 0 THEN 'inventory/1' ELSE utilization || '/1+' || phase_method END AS allocation_method,
    CASE WHEN deployment_no = 0 THEN 'measured' ELSE confidence END::metering.confidence AS confidence
FROM phased
