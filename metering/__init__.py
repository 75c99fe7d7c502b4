"""Usage, telemetry and rates become what each hour cost and which tokens caused it; knows callers, never teams."""
