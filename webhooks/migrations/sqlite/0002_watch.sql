-- +goose Up
-- What apps were last told of their lanes.
CREATE TABLE webhook_lanes (
	app      TEXT NOT NULL,
	provider TEXT NOT NULL,
	state    TEXT NOT NULL,
	changes  INTEGER NOT NULL, -- counts them
	PRIMARY KEY (app, provider)
);

-- Notifications whose end an app wants to be told of.
CREATE TABLE webhook_campaigns (
	app          TEXT NOT NULL,
	notification TEXT NOT NULL,
	created_at   INTEGER NOT NULL,
	next_at      INTEGER NOT NULL, -- when it is looked at
	PRIMARY KEY (app, notification)
);
CREATE INDEX webhook_campaigns_next ON webhook_campaigns (next_at);

-- +goose Down
DROP TABLE webhook_campaigns;
DROP TABLE webhook_lanes;
