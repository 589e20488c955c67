-- +goose Up
-- What apps were last told of their lanes.
CREATE TABLE webhook_lanes (
	app      TEXT COLLATE "C" NOT NULL,
	provider TEXT COLLATE "C" NOT NULL,
	state    TEXT NOT NULL,
	changes  BIGINT NOT NULL, -- counts them
	PRIMARY KEY (app, provider)
);

-- Notifications whose end an app wants to be told of.
CREATE TABLE webhook_campaigns (
	app          TEXT COLLATE "C" NOT NULL,
	notification TEXT COLLATE "C" NOT NULL,
	created_at   BIGINT NOT NULL,
	next_at      BIGINT NOT NULL, -- when it is looked at
	PRIMARY KEY (app, notification)
);
CREATE INDEX webhook_campaigns_next ON webhook_campaigns (next_at);

-- +goose Down
DROP TABLE webhook_campaigns;
DROP TABLE webhook_lanes;
