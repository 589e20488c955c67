-- +goose Up
-- Questions that analysts keep, by app and name.
CREATE TABLE saved_queries (
	app        TEXT NOT NULL,
	name       TEXT NOT NULL,
	text       TEXT NOT NULL, -- SQL, as it was typed
	author     TEXT NOT NULL, -- as the audit shows people
	updated_at INTEGER NOT NULL,
	PRIMARY KEY (app, name)
) WITHOUT ROWID;

-- +goose Down
DROP TABLE saved_queries;
