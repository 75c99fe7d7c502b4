-- step:   attribution.counter_change
-- grain:  billing_period, metric, team, model, pool, cost_kind, token_kind, state
-- reads:  attribution.net_monthly, attribution.published, attribution.counter
-- params: period_start
-- why:    a restated month moves its counters by the difference: up in one of the twins, never down in either
WITH difference AS (
    SELECT metric, team, model, pool, cost_kind, token_kind, state, SUM(net) AS net
    FROM (
        SELECT billing_period, metric, team, model, pool, cost_kind, token_kind, state, net FROM attribution.net_monthly
        UNION ALL
        SELECT billing_period, metric, team, model, pool, cost_kind, token_kind, state, -net FROM attribution.published
    ) AS movement
    WHERE billing_period = $period_start::TIMESTAMP
    GROUP BY metric, team, model, pool, cost_kind, token_kind, state
)
SELECT
    $period_start::TIMESTAMP                    AS billing_period,
    difference.metric, difference.team, difference.model, difference.pool, difference.cost_kind, difference.token_kind,
    difference.state,
    GREATEST(difference.net, 0)::HUGEINT        AS charged,
    GREATEST(-difference.net, 0)::HUGEINT       AS credited,
    COALESCE(counter.charged, 0)::HUGEINT       AS charged_before,
    COALESCE(counter.credited, 0)::HUGEINT      AS credited_before
FROM difference
LEFT JOIN attribution.counter AS counter  -- NULL: a label set that is new
    USING (metric, team, model, pool, cost_kind, token_kind, state)
WHERE difference.net <> 0 OR counter.metric IS NULL
