-- +goose Up
-- Sessions of the pages that were signed out of, until their cookies would have
-- ended by themselves.
CREATE TABLE ended_sessions (
	id       TEXT PRIMARY KEY,
	until_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX ended_sessions_until ON ended_sessions (until_at);

-- +goose Down
DROP TABLE ended_sessions;
