-- Takes a notification in, or tells what became of the same id before.
-- KEYS[1] notification
-- ARGV    hash, body, class, start (unix ms), expiry (unix s), chunks, devices
--         (1 and the size of an audience that is known and fits, else 0 and 0),
--         campaign ('' if it is part of none), traceparent ('' if it is not traced)
-- RETURNS {"new"}, {"conflict"}, or {"again", queued, first body}
local before = redis.call('HMGET', KEYS[1], 'hash', 'queued', 'body')
if before[1] then
  if before[1] ~= ARGV[1] then return {'conflict'} end
  return {'again', before[2], before[3]}
end
redis.call('HSET', KEYS[1], 'hash', ARGV[1], 'body', ARGV[2], 'class', ARGV[3], 'start', ARGV[4],
  'queued', '0', 'chunks', ARGV[6], 'devices', ARGV[7])
if ARGV[8] ~= '' then redis.call('HSET', KEYS[1], 'campaign', ARGV[8]) end
if ARGV[9] ~= '' then redis.call('HSET', KEYS[1], 'trace', ARGV[9]) end
if ARGV[6] ~= '0' then redis.call('HSET', KEYS[1], 'expanded', '1') end
redis.call('EXPIREAT', KEYS[1], ARGV[5])
return {'new'}
