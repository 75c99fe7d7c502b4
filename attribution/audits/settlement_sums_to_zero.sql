-- audit:  settlement_sums_to_zero
-- reads:  attribution.settlement
-- params: period_start
-- why:    settlement only moves cost: what teams bear of a pool or a shared cost is what left the system's line
SELECT charge_period_start, charge_period_end, pool_no, cost_kind, shared_cost_id, SUM(effective_cost_nano) AS made_nano
FROM attribution.settlement
WHERE billing_period = $period_start::TIMESTAMP
GROUP BY charge_period_start, charge_period_end, pool_no, cost_kind, shared_cost_id
HAVING SUM(effective_cost_nano) <> 0
