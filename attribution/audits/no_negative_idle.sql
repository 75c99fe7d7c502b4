-- audit:  no_negative_idle
-- reads:  attribution.charge_monthly
-- params: period_start
-- why:    settlement takes from __idle__ and __overhead__ at most what is there
SELECT team, pool_no, SUM(effective_cost_nano) AS net_nano
FROM attribution.charge_monthly
WHERE billing_period = $period_start::TIMESTAMP AND team IN ('__idle__', '__overhead__')
GROUP BY team, pool_no
HAVING SUM(effective_cost_nano) < 0
