-- +goose Up

-- roster counts the changes of who is in the conversation.
ALTER TABLE im_conversations ADD COLUMN roster BIGINT NOT NULL DEFAULT 0;
