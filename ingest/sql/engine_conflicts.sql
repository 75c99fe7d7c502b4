-- Records whose engine and time have landed with other content.
SELECT record, '' AS source
FROM verdict
WHERE outcome = 'conflict'
ORDER BY record
