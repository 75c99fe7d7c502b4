-- The careful landing, step two: the first sample of each device and time.
INSERT INTO raw.gpu_sample
SELECT staged.* EXCLUDE (record), getvariable('batch_no')
FROM staged JOIN verdict USING (record)
WHERE verdict.outcome = 'landed';
