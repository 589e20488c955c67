-- +goose Up
-- Who may do what on the pages. The app '*' stands for all apps.
CREATE TABLE members (
	app        TEXT COLLATE "C" NOT NULL,
	email      TEXT COLLATE "C" NOT NULL, -- lower case, as the sign-in service says it
	role       TEXT NOT NULL, -- viewer, analyst, operator or admin
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	PRIMARY KEY (email, app)
);
CREATE INDEX members_app ON members (app, email);

-- What was changed, by whom. Rows are only ever added and closed.
CREATE TABLE audit (
	id      TEXT COLLATE "C" PRIMARY KEY, -- sorts by time
	app     TEXT COLLATE "C" NOT NULL,
	at      BIGINT NOT NULL,
	who     TEXT NOT NULL,    -- as people know them: an address, or a key's id
	via     TEXT NOT NULL,    -- key, person, link or command
	origin  TEXT NOT NULL,    -- the address they came from; '' where there is none
	action  TEXT NOT NULL,    -- such as lane.put
	target  TEXT NOT NULL,    -- what was changed, such as /v1/lanes/apns
	status  BIGINT NOT NULL, -- HTTP status of the answer; 0 while nobody knows
	before  TEXT NOT NULL,    -- JSON without secrets; '' for nothing
	after   TEXT NOT NULL
);
CREATE INDEX audit_app ON audit (app, id);

-- +goose Down
DROP TABLE audit;
DROP TABLE members;
