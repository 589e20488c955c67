-- Notes what a worker has used of an app's quota, and leases it more.
-- KEYS[1] hash: "used", and for each worker "units until"
-- ARGV    now (ms), worker, used since it last said, what it still holds, what more it wants,
--         limit (0: unknown), lease (ms), when the key may go (unix s)
-- RETURNS how much more it may use, and how much all have used
local now = tonumber(ARGV[1])
local used = redis.call('HINCRBY', KEYS[1], 'used', ARGV[3])
if used < 0 then used = 0 redis.call('HSET', KEYS[1], 'used', 0) end
local holds, wants, limit = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local grant = wants
if limit > 0 then
  local free = limit - used - holds
  local all = redis.call('HGETALL', KEYS[1])
  for i = 1, #all, 2 do
    if all[i] ~= 'used' and all[i] ~= ARGV[2] then
      local units, till = string.match(all[i + 1], '^(%d+) (%d+)$')
      if tonumber(till) > now then
        free = free - tonumber(units)
      else
        redis.call('HDEL', KEYS[1], all[i])
      end
    end
  end
  -- A quarter of what is left at most, so that blocks shrink near the end.
  grant = math.max(0, math.min(wants, math.max(math.ceil(free / 4), 1), free))
  if holds + grant > 0 then
    redis.call('HSET', KEYS[1], ARGV[2], string.format('%.0f %.0f', holds + grant, now + tonumber(ARGV[7])))
  else
    redis.call('HDEL', KEYS[1], ARGV[2])
  end
end
redis.call('EXPIREAT', KEYS[1], ARGV[8])
return { grant, used }
