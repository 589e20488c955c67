-- +goose Up
-- What apps say that answers of a provider's service mean, in place of the
-- built-in table of codes.
CREATE TABLE corrections (
	app                 TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	provider            TEXT NOT NULL,
	status              INTEGER NOT NULL,       -- HTTP; 0 where the code is set
	code                TEXT NOT NULL,          -- the service's word; '' where the status is set
	kind                TEXT NOT NULL,
	retry_after_seconds INTEGER NOT NULL,
	scope               TEXT NOT NULL,
	means               TEXT NOT NULL,
	made_by             TEXT NOT NULL,          -- the id of a key
	made_at             BIGINT NOT NULL,
	PRIMARY KEY (app, provider, status, code)
);

-- +goose Down
DROP TABLE corrections;
