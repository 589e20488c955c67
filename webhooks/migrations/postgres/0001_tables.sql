-- +goose Up
-- Times are microseconds since 1970-01-01 UTC; 0 is never.
CREATE TABLE webhooks (
	id            TEXT COLLATE "C" PRIMARY KEY,
	app           TEXT COLLATE "C" NOT NULL,
	url           TEXT COLLATE "C" NOT NULL,
	description   TEXT COLLATE "C" NOT NULL,
	events        TEXT NOT NULL, -- JSON list
	batch         BIGINT NOT NULL,
	enabled       BIGINT NOT NULL, -- 0 or 1
	disabled_why  TEXT COLLATE "C" NOT NULL,
	failing_since BIGINT NOT NULL DEFAULT 0,
	secret        BYTEA NOT NULL, -- sealed
	old_secret    BYTEA, -- sealed; the one before
	old_until     BIGINT NOT NULL DEFAULT 0,
	created_at    BIGINT NOT NULL,
	updated_at    BIGINT NOT NULL
);
CREATE INDEX webhooks_app ON webhooks (app, id);

-- Events on their way to an endpoint, and what came of them.
CREATE TABLE webhook_messages (
	seq        BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	webhook    TEXT COLLATE "C" NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
	event      TEXT COLLATE "C" NOT NULL,
	type       TEXT COLLATE "C" NOT NULL,
	body       TEXT COLLATE "C" NOT NULL,
	state      BIGINT NOT NULL DEFAULT 0, -- 0 pending, 1 delivered, 2 dead
	created_at BIGINT NOT NULL,
	next_at    BIGINT NOT NULL, -- of a pending one; while somebody has it in hand, when it is given up for lost
	give_up_at BIGINT NOT NULL,
	tries      BIGINT NOT NULL DEFAULT 0,
	last_at    BIGINT NOT NULL DEFAULT 0,
	status     BIGINT NOT NULL DEFAULT 0,
	error      TEXT COLLATE "C" NOT NULL DEFAULT '',
	took_ms    BIGINT NOT NULL DEFAULT 0,
	UNIQUE (webhook, event)
);
CREATE INDEX webhook_messages_due ON webhook_messages (webhook, next_at) WHERE state = 0;
CREATE INDEX webhook_messages_dead ON webhook_messages (webhook, seq) WHERE state = 2;
CREATE INDEX webhook_messages_list ON webhook_messages (webhook, seq);
CREATE INDEX webhook_messages_old ON webhook_messages (last_at) WHERE state > 0;

-- +goose Down
DROP TABLE webhook_messages;
DROP TABLE webhooks;
