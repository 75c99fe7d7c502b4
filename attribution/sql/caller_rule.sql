-- step:   attribution.caller_rule
-- grain:  caller_no, rule_no
-- reads:  raw.caller, book.directory_rule
-- params: none
-- why:    rules meet callers on one equality each (a principal, a tag, a namespace, or a glob's literal prefix), so that
--         thousands of rules against a hundred thousand callers are a hash join; every selector is checked after it
WITH rule AS (
    SELECT
        rule_no, principal_pattern, namespace_pattern, source_pattern, team, team_tag, effective_from, effective_to,
        map_entries(CAST(CAST(tag_patterns AS JSON) AS MAP(VARCHAR, VARCHAR))) AS tag_patterns,
        NOT regexp_matches(regexp_replace(principal_pattern, '\\.', '', 'g'), '[%_]') AS principal_is_exact,
        NOT regexp_matches(regexp_replace(namespace_pattern, '\\.', '', 'g'), '[%_]') AS namespace_is_exact,
        regexp_replace(regexp_extract(coalesce(principal_pattern, ''), '^([^%_\\]|\\.)*'), '\\(.)', '\1', 'g') AS prefix
    FROM book.directory_rule
),
exact_tag AS (
    SELECT rule_no, min(selector) AS selector
    FROM (SELECT rule_no, unnest(tag_patterns) AS selector FROM rule) AS tagged
    WHERE NOT regexp_matches(regexp_replace(selector.value, '\\.', '', 'g'), '[%_]')
    GROUP BY rule_no
),
anchored_rule AS (
    SELECT
        rule.*,
        CASE
            WHEN principal_is_exact THEN ['principal', '', prefix]
            WHEN prefix <> '' THEN ['prefix', CAST(length(prefix) AS VARCHAR), prefix]
            WHEN selector IS NOT NULL THEN ['tag', selector.key, regexp_replace(selector.value, '\\(.)', '\1', 'g')]
            WHEN namespace_is_exact THEN ['namespace', '', regexp_replace(namespace_pattern, '\\(.)', '\1', 'g')]
            ELSE ['prefix', '0', '']
        END AS anchor
    FROM rule
    LEFT JOIN exact_tag USING (rule_no)  -- NULL: no tag without wildcards
),
caller AS (
    SELECT caller_no, principal, namespace, source, CAST(CAST(tags AS JSON) AS MAP(VARCHAR, VARCHAR)) AS tags
    FROM raw.caller
    WHERE caller_no <> 0
),
anchored_caller AS (
    SELECT caller_no, ['principal', '', principal] AS anchor FROM caller
    UNION ALL SELECT caller_no, ['namespace', '', namespace] FROM caller
    UNION ALL SELECT caller_no, ['tag', tag.key, tag.value]
    FROM (SELECT caller_no, unnest(map_entries(tags)) AS tag FROM caller) AS tagged
    UNION ALL SELECT caller_no, ['prefix', digits, left(principal, CAST(digits AS INTEGER))]
    FROM caller
    CROSS JOIN (SELECT DISTINCT anchor[2] AS digits FROM anchored_rule WHERE anchor[1] = 'prefix') AS prefix_length
),
fitting AS (
    SELECT
        caller.caller_no, rule.rule_no, rule.effective_from, rule.effective_to,
        CASE WHEN rule.team_tag = '' THEN rule.team ELSE coalesce(caller.tags[rule.team_tag], '') END AS team
    FROM anchored_rule AS rule
    JOIN anchored_caller USING (anchor)
    JOIN caller USING (caller_no)
    WHERE (principal_is_exact OR coalesce(caller.principal LIKE rule.principal_pattern ESCAPE '\', TRUE))
        AND coalesce(caller.namespace LIKE rule.namespace_pattern ESCAPE '\', TRUE)
        AND coalesce(caller.source LIKE rule.source_pattern ESCAPE '\', TRUE)
        AND len(list_filter(rule.tag_patterns, lambda wanted:
            NOT coalesce(caller.tags[wanted.key] LIKE wanted.value ESCAPE '\', FALSE))) = 0
)
SELECT
    caller_no,
    rule_no,
    CASE WHEN team LIKE '\_\_%' ESCAPE '\' THEN '__unmapped__' ELSE team END AS team,
    effective_from,
    effective_to
FROM fitting
WHERE team <> ''
