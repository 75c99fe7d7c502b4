-- Records whose id and revision have landed with other content, and who reported them.
SELECT verdict.record, origin.source
FROM verdict JOIN raw.source AS origin USING (source_no)
WHERE verdict.outcome = 'conflict'
ORDER BY verdict.record
