-- step:   attribution.team_monthly
-- grain:  billing_period, team
-- reads:  attribution.charge_daily, book.directory_rule, book.cost_center, book.entitlement, book.shared_cost_share
-- params: period_start, period_end
-- why:    settlement moves money to a team as a whole, and such a line has a cost center only where there is no choice
WITH charged AS (
    SELECT team, team_name, cost_center, '' AS given
    FROM attribution.charge_daily
    WHERE charge_period_start >= $period_start::TIMESTAMP AND charge_period_start < $period_end::TIMESTAMP
),
uncharged AS (  -- an entitlement or a fixed share can fall on a team that used nothing
    SELECT team FROM book.entitlement
    UNION SELECT team FROM book.shared_cost_share
    EXCEPT SELECT team FROM charged
),
known AS (
    SELECT team, team_name, cost_center, given FROM charged
    UNION ALL
    SELECT uncharged.team, COALESCE(rule.team_name, ''), COALESCE(rule.cost_center, ''), COALESCE(given.cost_center, '')
    FROM uncharged
    LEFT JOIN book.directory_rule AS rule  -- NULL: the directory does not know the team
        ON rule.team = uncharged.team AND rule.effective_from < $period_end::TIMESTAMP
        AND rule.effective_to > $period_start::TIMESTAMP
    LEFT JOIN book.cost_center AS given ON given.team = uncharged.team  -- NULL: none was given
)
SELECT
    $period_start::TIMESTAMP                                                                 AS billing_period,
    team,
    CASE WHEN COUNT(DISTINCT team_name) = 1 THEN MIN(team_name) ELSE '' END                  AS team_name,
    CASE WHEN COUNT(DISTINCT cost_center) = 1 AND MIN(cost_center) <> '' THEN MIN(cost_center)
        ELSE MIN(given) END                                                                  AS cost_center
FROM known
GROUP BY team
