-- audit:  counters_equal_published_months
-- reads:  attribution.counter, attribution.published
-- params: none
-- why:    charged less credited is what all months say now, so nothing was counted twice and nothing was forgotten
WITH side AS (
    SELECT metric, team, model, pool, cost_kind, token_kind, state, charged - credited AS net
    FROM attribution.counter
    UNION ALL
    SELECT metric, team, model, pool, cost_kind, token_kind, state, -net
    FROM attribution.published
)
SELECT metric, team, model, pool, cost_kind, token_kind, state, SUM(net) AS unexplained
FROM side
GROUP BY metric, team, model, pool, cost_kind, token_kind, state
HAVING SUM(net) <> 0
