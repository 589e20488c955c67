-- Lays a message in a device's inbox.
-- KEYS[1] inbox
-- ARGV    delivery, payload (JSON with sent_at), expiry (unix s), most messages
-- RETURNS how many messages lie there
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
local lives = redis.call('TTL', KEYS[1])
redis.call('EXPIREAT', KEYS[1], ARGV[3], lives < 0 and 'NX' or 'GT')
local n = redis.call('HLEN', KEYS[1])
while n > tonumber(ARGV[4]) do
  local oldest, at
  local all = redis.call('HGETALL', KEYS[1])
  for i = 1, #all, 2 do
    local sent = cjson.decode(all[i + 1]).sent_at or ''
    if not at or sent < at then oldest, at = all[i], sent end
  end
  redis.call('HDEL', KEYS[1], oldest)
  n = n - 1
end
return n
