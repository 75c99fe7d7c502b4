-- audit:  system_teams_take_no_share
-- reads:  attribution.settlement
-- params: period_start
-- why:    cost without a payer must not gather more of it; only unmapped callers are somebody, though nobody knows whom
SELECT charge_period_start, team, pool_no, cost_kind, effective_cost_nano
FROM attribution.settlement
WHERE billing_period = $period_start::TIMESTAMP
    AND team LIKE '\_\_%' ESCAPE '\' AND team <> '__unmapped__'
    AND NOT (team = '__idle__' AND cost_kind = 'idle' AND effective_cost_nano < 0)
    AND NOT (team = '__overhead__' AND cost_kind = 'overhead' AND effective_cost_nano < 0)
