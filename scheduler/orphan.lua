-- Puts a task that nobody works on back into its queue, first in line.
-- KEYS[1] active  KEYS[2] lease  KEYS[3] pending  KEYS[4] task   (asynq's own)
-- ARGV    task id, end of its lease as seen, now (unix ns)
-- RETURNS 1 if it was put back, 0 if somebody took it up meanwhile
if tonumber(redis.call('ZSCORE', KEYS[2], ARGV[1]) or -1) ~= tonumber(ARGV[2]) then return 0 end
if redis.call('LREM', KEYS[1], 0, ARGV[1]) == 0 then return 0 end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('RPUSH', KEYS[3], ARGV[1])
redis.call('HSET', KEYS[4], 'state', 'pending', 'pending_since', ARGV[3])
return 1
