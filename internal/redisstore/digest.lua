-- Collects a notification for a digest, once. The first opens it.
-- KEYS[1] hash: "#due" (unix ms), "#count", "#class", "#ttl", "#template", and notification → item
-- ARGV    notification, item, due if this is the first (unix ms), most items, class, ttl (s), template
-- RETURNS when the digest is due (unix ms)
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then return redis.call('HGET', KEYS[1], '#due') end
if redis.call('HSETNX', KEYS[1], '#due', ARGV[3]) == 1 then
  redis.call('PEXPIREAT', KEYS[1], tonumber(ARGV[3]) + 86400000)
end
local count = redis.call('HINCRBY', KEYS[1], '#count', 1)
redis.call('HSET', KEYS[1], '#class', ARGV[5], '#ttl', ARGV[6], '#template', ARGV[7])
local item = ARGV[2]
if count > tonumber(ARGV[4]) then item = '' end -- counted, and no more
redis.call('HSET', KEYS[1], ARGV[1], item)
return redis.call('HGET', KEYS[1], '#due')
