-- audit:  counters_never_decrease
-- reads:  attribution.counter, attribution.counter_change
-- params: period_start
-- why:    a counter that falls looks like a restart to whoever scrapes it, and doubles what it counted
SELECT change.metric, change.team, change.model, change.pool, change.charged_before, change.credited_before
FROM attribution.counter_change AS change
LEFT JOIN attribution.counter AS counter USING (metric, team, model, pool, cost_kind, token_kind, state)
WHERE change.billing_period = $period_start::TIMESTAMP
    AND (counter.metric IS NULL OR counter.charged < change.charged_before OR counter.credited < change.credited_before)
