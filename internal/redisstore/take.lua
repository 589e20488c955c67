-- Closes a digest that is due, so that what comes now opens the next one.
-- KEYS[1] the open digest
-- KEYS[2] where the closed one is kept until it has been sent
-- ARGV    due (unix ms)
-- RETURNS all fields of the closed digest; empty if it was sent before
if redis.call('HGET', KEYS[1], '#due') == ARGV[1] then redis.call('RENAME', KEYS[1], KEYS[2]) end
return redis.call('HGETALL', KEYS[2])
