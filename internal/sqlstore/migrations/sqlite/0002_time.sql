-- +goose Up
-- What people have said about being reached.
CREATE TABLE users (
	app         TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	id          TEXT NOT NULL,
	timezone    TEXT NOT NULL,
	quiet_hours TEXT,                      -- JSON of push.QuietHours; NULL for none
	updated_at  INTEGER NOT NULL,
	PRIMARY KEY (app, id)
) WITHOUT ROWID;

CREATE TABLE templates (
	app        TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	id         TEXT NOT NULL,
	body       TEXT NOT NULL,              -- JSON of push.Template
	version    INTEGER NOT NULL,           -- counts the writes
	created_at INTEGER NOT NULL,
	updated_at INTEGER NOT NULL,
	PRIMARY KEY (app, id)
) WITHOUT ROWID;

CREATE TABLE schedules (
	app          TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	id           TEXT NOT NULL,
	cron         TEXT NOT NULL,
	timezone     TEXT NOT NULL,
	request      TEXT NOT NULL,            -- the notification as its owner wrote it
	notification TEXT NOT NULL,            -- JSON of push.Notification, checked
	ttl_seconds  INTEGER NOT NULL,
	next_at      INTEGER NOT NULL,
	last_at      INTEGER NOT NULL DEFAULT 0, -- 0 if it has not fired yet
	created_at   INTEGER NOT NULL,
	updated_at   INTEGER NOT NULL,
	PRIMARY KEY (app, id)
) WITHOUT ROWID;
CREATE INDEX schedules_next ON schedules (next_at);

-- +goose Down
DROP TABLE schedules;
DROP TABLE templates;
DROP TABLE users;
