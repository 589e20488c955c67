-- +goose Up

-- seq counts what changed for a user; a cursor of the user's devices is one of its values.
CREATE TABLE im_users (
  app  TEXT NOT NULL,
  user_id TEXT NOT NULL,
  seq  BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (app, user_id)
);

CREATE TABLE im_conversations (
  app          TEXT NOT NULL,
  id           TEXT NOT NULL,
  kind         TEXT NOT NULL,
  title        TEXT NOT NULL DEFAULT '',
  announcement TEXT NOT NULL DEFAULT '',
  join_policy  TEXT NOT NULL DEFAULT '',
  muted        BIGINT NOT NULL DEFAULT 0,
  head         BIGINT NOT NULL DEFAULT 0,
  members      BIGINT NOT NULL DEFAULT 0,
  created_at   BIGINT NOT NULL,
  PRIMARY KEY (app, id)
);

CREATE TABLE im_messages (
  app          TEXT NOT NULL,
  conversation TEXT NOT NULL,
  seq          BIGINT NOT NULL,
  sender       TEXT NOT NULL,
  client_id    TEXT NOT NULL,
  kind         TEXT NOT NULL,
  body         TEXT NOT NULL,
  reply_to     BIGINT NOT NULL DEFAULT 0,
  mentions     TEXT NOT NULL DEFAULT '[]',
  target       BIGINT NOT NULL DEFAULT 0,
  at           BIGINT NOT NULL,
  edited_at    BIGINT NOT NULL DEFAULT 0,
  recalled     BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (app, conversation, seq)
);
CREATE UNIQUE INDEX im_messages_client ON im_messages (app, sender, client_id);

-- version is the value of im_users.seq at which the user's view of the conversation last changed.
-- ring_due is when the user is to be told by another road that there is something to read; 0 is never.
CREATE TABLE im_members (
  app          TEXT NOT NULL,
  conversation TEXT NOT NULL,
  user_id         TEXT NOT NULL,
  role         TEXT NOT NULL,
  joined       BIGINT NOT NULL DEFAULT 0,
  received     BIGINT NOT NULL DEFAULT 0,
  read         BIGINT NOT NULL DEFAULT 0,
  muted_until  BIGINT NOT NULL DEFAULT 0,
  silent       BIGINT NOT NULL DEFAULT 0,
  gone         BIGINT NOT NULL DEFAULT 0,
  version      BIGINT NOT NULL DEFAULT 0,
  ring_due     BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (app, conversation, user_id)
);
CREATE INDEX im_members_user ON im_members (app, user_id, version);
CREATE INDEX im_members_ring ON im_members (ring_due) WHERE ring_due > 0;

CREATE TABLE im_reactions (
  app          TEXT NOT NULL,
  conversation TEXT NOT NULL,
  seq          BIGINT NOT NULL,
  user_id         TEXT NOT NULL,
  emoji        TEXT NOT NULL,
  PRIMARY KEY (app, conversation, seq, user_id, emoji)
);

CREATE TABLE im_friends (
  app     TEXT NOT NULL,
  user_id    TEXT NOT NULL,
  friend  TEXT NOT NULL,
  state   TEXT NOT NULL,
  remark  TEXT NOT NULL DEFAULT '',
  text    TEXT NOT NULL DEFAULT '',
  since   BIGINT NOT NULL,
  PRIMARY KEY (app, user_id, friend)
);

CREATE TABLE im_blocks (
  app     TEXT NOT NULL,
  user_id    TEXT NOT NULL,
  blocked TEXT NOT NULL,
  PRIMARY KEY (app, user_id, blocked)
);
