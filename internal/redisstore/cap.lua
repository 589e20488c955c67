-- Counts a notification against the caps of one user and class, once.
-- KEYS[1] sorted set: notification → when it was sent (unix ms)
-- ARGV    now (unix ms), notification, longest window (ms), then pairs of window (ms), limit
-- RETURNS 0 if it may be sent, else which pair forbids it, from 1
if redis.call('ZSCORE', KEYS[1], ARGV[2]) then return 0 end
local now = tonumber(ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[3]))
for i = 4, #ARGV, 2 do
  local sent = redis.call('ZCOUNT', KEYS[1], '(' .. string.format('%.0f', now - tonumber(ARGV[i])), '+inf')
  if sent >= tonumber(ARGV[i + 1]) then return (i - 2) / 2 end
end
redis.call('ZADD', KEYS[1], now, ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 0
