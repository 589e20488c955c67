-- +goose Up
-- New credentials are on trial until the service took a message with them. Those
-- that were there before count as proven.
ALTER TABLE credentials ADD COLUMN proven INTEGER NOT NULL DEFAULT 1;
-- Why Herald itself put these in force again; '' if somebody gave them.
ALTER TABLE credentials ADD COLUMN retracted_why TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE credentials DROP COLUMN retracted_why;
ALTER TABLE credentials DROP COLUMN proven;
