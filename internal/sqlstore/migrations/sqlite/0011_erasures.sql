-- +goose Up
-- The work of erasing users, and the record of it.
CREATE TABLE erasures (
	app      TEXT NOT NULL,
	user_id  TEXT NOT NULL,
	state    TEXT NOT NULL,
	asked_at INTEGER NOT NULL,
	ended_at INTEGER NOT NULL DEFAULT 0,
	due_at   INTEGER NOT NULL, -- when it may be taken: a process that works on it moves it on
	tries    INTEGER NOT NULL DEFAULT 0,
	devices  TEXT NOT NULL DEFAULT '[]', -- ids, kept for when their rows are gone
	stores   TEXT NOT NULL DEFAULT '[]', -- found and left, by store
	PRIMARY KEY (app, user_id)
) WITHOUT ROWID;
CREATE INDEX erasures_due ON erasures (due_at) WHERE state = 'running';

-- +goose Down
DROP TABLE erasures;
