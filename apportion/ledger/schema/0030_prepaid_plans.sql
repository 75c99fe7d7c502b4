-- A savings plan may be paid in part or whole at its start; what it promises to spend in an hour is then not what it pays in it.
ALTER TABLE book.commitment ADD COLUMN recurring_per_hour_nano BIGINT;
UPDATE book.commitment SET recurring_per_hour_nano = per_hour_nano;
