-- step:   attribution.system_team
-- grain:  cost_kind
-- reads:  book.cost_center
-- params: none
-- why:    a line that is nobody's names what became of the cost instead, and can still be booked somewhere
SELECT
    line.cost_kind,
    line.team,
    COALESCE(given.cost_center, '') AS cost_center
FROM (VALUES
    ('idle', '__idle__'),
    ('unmeasured', '__unmeasured__'),
    ('overhead', '__overhead__'),
    ('workload', '__unattributed__'),
    ('external', '__unattributed__'),
    ('adjustment', '__unattributed__')
) AS line (cost_kind, team)
LEFT JOIN book.cost_center AS given USING (team)  -- NULL: none was given
