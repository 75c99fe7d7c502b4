-- Hours that earlier versions may have metered by other rules are metered again, so that a month follows one.
INSERT INTO book.dirty_hour
SELECT charge_period_start, metered_at
FROM metering.metered_hour AS hour
WHERE EXISTS (  -- owned GPUs that their pool does not have were charged to those that it has, or were an unused commitment
    FROM book.coverage AS part
    WHERE part.pool_no = 0 AND part.evidence LIKE 'asset/%'
        AND part.effective_from < hour.charge_period_start + INTERVAL 1 HOUR AND part.effective_to > hour.charge_period_start
) OR EXISTS (  -- nobody asked whether another reader took the prompts
    FROM book.deployment AS reader
    WHERE reader.role = 'prefill'
        AND reader.effective_from < hour.charge_period_start + INTERVAL 1 HOUR AND reader.effective_to > hour.charge_period_start
) OR EXISTS (  -- engines were believed however little of the time they told
    FROM metering.engine_state_hourly AS state
    JOIN metering.deployment_hourly AS told USING (charge_period_start, pool_no, deployment_no)
    WHERE state.charge_period_start = hour.charge_period_start AND told.utilization = 'active'
)
ON CONFLICT DO NOTHING;
