-- +goose Up
-- The work of erasing users, and the record of it.
CREATE TABLE erasures (
	app      TEXT COLLATE "C" NOT NULL,
	user_id  TEXT COLLATE "C" NOT NULL,
	state    TEXT NOT NULL,
	asked_at BIGINT NOT NULL,
	ended_at BIGINT NOT NULL DEFAULT 0,
	due_at   BIGINT NOT NULL, -- when it may be taken: a process that works on it moves it on
	tries    BIGINT NOT NULL DEFAULT 0,
	devices  TEXT NOT NULL DEFAULT '[]', -- ids, kept for when their rows are gone
	stores   TEXT NOT NULL DEFAULT '[]', -- found and left, by store
	PRIMARY KEY (app, user_id)
);
CREATE INDEX erasures_due ON erasures (due_at) WHERE state = 'running';

-- +goose Down
DROP TABLE erasures;
