-- What a day's line is told apart by is known, as an hour's is: the table says so, and no query need ask.
ALTER TABLE attribution.charge_daily ALTER COLUMN charge_period_start SET NOT NULL;
ALTER TABLE attribution.charge_daily ALTER COLUMN team SET NOT NULL;
ALTER TABLE attribution.charge_daily ALTER COLUMN team_name SET NOT NULL;
ALTER TABLE attribution.charge_daily ALTER COLUMN project SET NOT NULL;
ALTER TABLE attribution.charge_daily ALTER COLUMN cost_center SET NOT NULL;
ALTER TABLE attribution.charge_daily ALTER COLUMN provider SET NOT NULL;
ALTER TABLE attribution.charge_daily ALTER COLUMN model_no SET NOT NULL;
ALTER TABLE attribution.charge_daily ALTER COLUMN pool_no SET NOT NULL;
ALTER TABLE attribution.charge_daily ALTER COLUMN deployment_no SET NOT NULL;
ALTER TABLE attribution.charge_daily ALTER COLUMN tier SET NOT NULL;
ALTER TABLE attribution.charge_daily ALTER COLUMN cost_kind SET NOT NULL;
ALTER TABLE attribution.charge_daily ALTER COLUMN cause SET NOT NULL;
ALTER TABLE attribution.charge_daily ALTER COLUMN token_kind SET NOT NULL;
ALTER TABLE attribution.charge_daily ALTER COLUMN allocation_method SET NOT NULL;
ALTER TABLE attribution.charge_daily ALTER COLUMN confidence SET NOT NULL;
