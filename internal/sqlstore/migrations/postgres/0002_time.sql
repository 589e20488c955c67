-- +goose Up
-- What people have said about being reached.
CREATE TABLE users (
	app         TEXT COLLATE "C" NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	id          TEXT COLLATE "C" NOT NULL,
	timezone    TEXT NOT NULL,
	quiet_hours TEXT, -- JSON of push.QuietHours; NULL for none
	updated_at  BIGINT NOT NULL,
	PRIMARY KEY (app, id)
);

CREATE TABLE templates (
	app        TEXT COLLATE "C" NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	id         TEXT COLLATE "C" NOT NULL,
	body       TEXT NOT NULL, -- JSON of push.Template
	version    BIGINT NOT NULL, -- counts the writes
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	PRIMARY KEY (app, id)
);

CREATE TABLE schedules (
	app          TEXT COLLATE "C" NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	id           TEXT COLLATE "C" NOT NULL,
	cron         TEXT NOT NULL,
	timezone     TEXT NOT NULL,
	request      TEXT NOT NULL, -- the notification as its owner wrote it
	notification TEXT NOT NULL, -- JSON of push.Notification, checked
	ttl_seconds  BIGINT NOT NULL,
	next_at      BIGINT NOT NULL,
	last_at      BIGINT NOT NULL DEFAULT 0, -- 0 if it has not fired yet
	created_at   BIGINT NOT NULL,
	updated_at   BIGINT NOT NULL,
	PRIMARY KEY (app, id)
);
CREATE INDEX schedules_next ON schedules (next_at);

-- +goose Down
DROP TABLE schedules;
DROP TABLE templates;
DROP TABLE users;
