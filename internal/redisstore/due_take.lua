-- Hands out what is due, for as long as a lease: a lot whose lease has run out,
-- or else entries that nobody has had.
-- KEYS[1] ticks
-- ARGV    prefix of the lists, key of the count, key of the leases, key of what
--         is held, now, end of the lease (both unix ms), name of the lot, most weight
-- RETURNS nil, or {name of the lot, its entries in lines, the earliest tick or ''}
local lists, count, leases, held = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local now, most = ARGV[5], tonumber(ARGV[8])
local before = redis.call('HGET', held, ARGV[7])
if before then return { ARGV[7], before, '' } end -- the first answer was lost
while true do
  local late = redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, 1)[1]
  if not late then break end
  local entries = redis.call('HGET', held, late)
  if entries then
    redis.call('ZADD', leases, ARGV[6], late)
    return { late, entries, '' }
  end
  redis.call('ZREM', leases, late)
end
local lot, weight, first = {}, 0, ''
while weight < most do
  local tick = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, 1)[1]
  if not tick then break end
  if first == '' then first = tick end
  while weight < most do
    local entry = redis.call('LPOP', lists .. tick)
    if not entry then
      redis.call('ZREM', KEYS[1], tick)
      break
    end
    lot[#lot + 1] = entry
    weight = weight + (tonumber(string.match(entry, '^%d+')) or 1)
  end
end
if #lot == 0 then return false end
redis.call('HSET', held, ARGV[7], table.concat(lot, '\n'))
redis.call('ZADD', leases, ARGV[6], ARGV[7])
redis.call('DECRBY', count, #lot)
return { ARGV[7], table.concat(lot, '\n'), first }
