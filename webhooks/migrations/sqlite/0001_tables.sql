-- +goose Up
-- Times are microseconds since 1970-01-01 UTC; 0 is never.
CREATE TABLE webhooks (
	id            TEXT PRIMARY KEY,
	app           TEXT NOT NULL,
	url           TEXT NOT NULL,
	description   TEXT NOT NULL,
	events        TEXT NOT NULL, -- JSON list
	batch         INTEGER NOT NULL,
	enabled       INTEGER NOT NULL, -- 0 or 1
	disabled_why  TEXT NOT NULL,
	failing_since INTEGER NOT NULL DEFAULT 0,
	secret        BLOB NOT NULL, -- sealed
	old_secret    BLOB, -- sealed; the one before
	old_until     INTEGER NOT NULL DEFAULT 0,
	created_at    INTEGER NOT NULL,
	updated_at    INTEGER NOT NULL
);
CREATE INDEX webhooks_app ON webhooks (app, id);

-- Events on their way to an endpoint, and what came of them.
CREATE TABLE webhook_messages (
	seq        INTEGER PRIMARY KEY AUTOINCREMENT,
	webhook    TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
	event      TEXT NOT NULL,
	type       TEXT NOT NULL,
	body       TEXT NOT NULL,
	state      INTEGER NOT NULL DEFAULT 0, -- 0 pending, 1 delivered, 2 dead
	created_at INTEGER NOT NULL,
	next_at    INTEGER NOT NULL, -- of a pending one; while somebody has it in hand, when it is given up for lost
	give_up_at INTEGER NOT NULL,
	tries      INTEGER NOT NULL DEFAULT 0,
	last_at    INTEGER NOT NULL DEFAULT 0,
	status     INTEGER NOT NULL DEFAULT 0,
	error      TEXT NOT NULL DEFAULT '',
	took_ms    INTEGER NOT NULL DEFAULT 0,
	UNIQUE (webhook, event)
);
CREATE INDEX webhook_messages_due ON webhook_messages (webhook, next_at) WHERE state = 0;
CREATE INDEX webhook_messages_dead ON webhook_messages (webhook, seq) WHERE state = 2;
CREATE INDEX webhook_messages_list ON webhook_messages (webhook, seq);
CREATE INDEX webhook_messages_old ON webhook_messages (last_at) WHERE state > 0;

-- +goose Down
DROP TABLE webhook_messages;
DROP TABLE webhooks;
