-- step:   attribution.published
-- grain:  billing_period, metric, team, model, pool, cost_kind, token_kind, state
-- reads:  attribution.net_monthly
-- params: period_start
-- why:    once the counters have moved, this is what the next difference is taken against
SELECT billing_period, metric, team, model, pool, cost_kind, token_kind, state, net
FROM attribution.net_monthly
WHERE billing_period = $period_start::TIMESTAMP
