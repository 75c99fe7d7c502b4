-- step:   attribution.caller_team
-- grain:  caller_no, effective_from
-- reads:  raw.caller, attribution.caller_rule, book.directory_rule, book.cost_center
-- params: none
-- why:    the first rule in force decides, so a caller's time is cut where a rule that can decide begins or ends
WITH always AS (
    SELECT caller_no, min(rule_no) AS rule_no
    FROM attribution.caller_rule
    WHERE effective_from <= TIMESTAMP '1970-01-01' AND effective_to >= TIMESTAMP '9999-12-31'
    GROUP BY caller_no
),
able AS (
    SELECT fitting.caller_no, fitting.rule_no, fitting.effective_from, fitting.effective_to
    FROM attribution.caller_rule AS fitting
    LEFT JOIN always USING (caller_no)  -- NULL: no rule holds always, so every rule may get its turn
    WHERE fitting.rule_no <= coalesce(always.rule_no, fitting.rule_no)
),
cut AS (
    SELECT caller_no, TIMESTAMP '1970-01-01' AS effective_from FROM raw.caller WHERE caller_no <> 0
    UNION SELECT caller_no, effective_from FROM able
    UNION SELECT caller_no, effective_to FROM able WHERE effective_to < TIMESTAMP '9999-12-31'
),
decided AS (
    SELECT cut.caller_no, cut.effective_from, coalesce(min(able.rule_no), -1) AS rule_no
    FROM cut
    LEFT JOIN able ON able.caller_no = cut.caller_no  -- NULL: nothing fits then
        AND able.effective_from <= cut.effective_from AND cut.effective_from < able.effective_to
    GROUP BY cut.caller_no, cut.effective_from
),
changed AS (
    SELECT caller_no, effective_from, rule_no
    FROM decided
    QUALIFY rule_no IS DISTINCT FROM lag(rule_no) OVER (PARTITION BY caller_no ORDER BY effective_from)
),
placed AS (
    SELECT
        changed.caller_no, changed.effective_from, changed.rule_no,
        lead(changed.effective_from, 1, TIMESTAMP '9999-12-31')
            OVER (PARTITION BY changed.caller_no ORDER BY changed.effective_from) AS effective_to,
        coalesce(fitting.team, '__unmapped__') AS team
    FROM changed
    LEFT JOIN attribution.caller_rule AS fitting USING (caller_no, rule_no)  -- NULL: no rule
)
SELECT
    placed.caller_no,
    placed.effective_from,
    placed.effective_to,
    placed.rule_no,
    placed.team,
    CASE WHEN placed.team = '__unmapped__' THEN '' ELSE rule.team_name END AS team_name,
    coalesce(nullif(rule.project, ''), json_extract_string(caller.tags, '$.project'), '') AS project,
    CASE
        WHEN placed.team = '__unmapped__' THEN coalesce(given.cost_center, '')
        ELSE coalesce(nullif(rule.cost_center, ''), given.cost_center, '')
    END AS cost_center
FROM placed
JOIN raw.caller USING (caller_no)
LEFT JOIN book.directory_rule AS rule USING (rule_no)  -- NULL: no rule
LEFT JOIN book.cost_center AS given ON given.team = placed.team  -- NULL: none was given
