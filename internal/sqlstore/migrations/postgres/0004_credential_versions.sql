-- +goose Up
-- Earlier credentials, so that an operator can go back to them.
CREATE TABLE credential_versions (
	app        TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	provider   TEXT NOT NULL,
	version    BIGINT NOT NULL,
	sealed     BYTEA NOT NULL,
	PRIMARY KEY (app, provider, version)
);

-- +goose Down
DROP TABLE credential_versions;
