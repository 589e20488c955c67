-- +goose Up
-- Questions that analysts keep, by app and name.
CREATE TABLE saved_queries (
	app        TEXT COLLATE "C" NOT NULL,
	name       TEXT COLLATE "C" NOT NULL,
	text       TEXT NOT NULL, -- SQL, as it was typed
	author     TEXT NOT NULL, -- as the audit shows people
	updated_at BIGINT NOT NULL,
	PRIMARY KEY (app, name)
);

-- +goose Down
DROP TABLE saved_queries;
