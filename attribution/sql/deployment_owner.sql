-- step:   attribution.deployment_owner
-- grain:  deployment_no, effective_from
-- reads:  book.deployment, book.directory_rule, book.cost_center
-- params: none
-- why:    an owner pays for whole hours, under the name and cost center that the directory gives at their start
WITH dated AS (
    SELECT
        deployment_no, charge_to, owner, effective_from,
        date_trunc('hour', effective_from)                                             AS first_hour,
        date_trunc('hour', effective_to - INTERVAL 1 MICROSECOND) + INTERVAL 1 HOUR    AS hours_end
    FROM book.deployment
),
held AS (  -- of two dated rows that meet inside an hour, the earlier one has it
    SELECT
        deployment_no, charge_to, owner AS team, hours_end AS effective_to,
        GREATEST(first_hour, COALESCE(LAG(hours_end) OVER (PARTITION BY deployment_no ORDER BY effective_from), first_hour))
            AS effective_from
    FROM dated
),
owned AS (
    SELECT deployment_no, team, effective_from, effective_to
    FROM held
    WHERE charge_to = 'owner' AND effective_from < effective_to
),
ruled AS (  -- a rule counts from the first hour that starts under it
    SELECT
        team, team_name, cost_center,
        date_trunc('hour', effective_from - INTERVAL 1 MICROSECOND) + INTERVAL 1 HOUR AS effective_from,
        date_trunc('hour', effective_to - INTERVAL 1 MICROSECOND) + INTERVAL 1 HOUR   AS effective_to
    FROM book.directory_rule
    WHERE team IN (SELECT team FROM owned)
),
cut AS (
    SELECT deployment_no, team, effective_from AS cut_at, effective_to AS owned_to FROM owned
    UNION
    SELECT owned.deployment_no, owned.team, ruled.effective_from, owned.effective_to
    FROM owned
    JOIN ruled USING (team)
    WHERE ruled.effective_from > owned.effective_from AND ruled.effective_from < owned.effective_to
    UNION
    SELECT owned.deployment_no, owned.team, ruled.effective_to, owned.effective_to
    FROM owned
    JOIN ruled USING (team)
    WHERE ruled.effective_to > owned.effective_from AND ruled.effective_to < owned.effective_to
)
SELECT
    cut.deployment_no,
    cut.cut_at                                                                                         AS effective_from,
    LEAST(cut.owned_to, LEAD(cut.cut_at, 1, cut.owned_to) OVER (PARTITION BY cut.deployment_no ORDER BY cut.cut_at))
                                                                                                       AS effective_to,
    cut.team,
    CASE WHEN COUNT(DISTINCT ruled.team_name) = 1 THEN MIN(ruled.team_name) ELSE '' END                AS team_name,
    CASE WHEN COUNT(DISTINCT ruled.cost_center) = 1 AND MIN(ruled.cost_center) <> '' THEN MIN(ruled.cost_center)
        ELSE COALESCE(MIN(given.cost_center), '') END                                                  AS cost_center
FROM cut
LEFT JOIN ruled  -- NULL: the directory does not know the owner then
    ON ruled.team = cut.team AND ruled.effective_from <= cut.cut_at AND cut.cut_at < ruled.effective_to
LEFT JOIN book.cost_center AS given ON given.team = cut.team  -- NULL: none was given
GROUP BY cut.deployment_no, cut.cut_at, cut.owned_to, cut.team
