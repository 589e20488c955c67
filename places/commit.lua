-- Takes what came of reports of a shard's devices, each if nobody else has
-- changed the device meanwhile, and forgets a few of those who are silent for
-- too long.
--
-- KEYS    1 positions, 2 polar positions, 3 who may be found, 4 times, 5 records, 6 outbox
-- ARGV    the oldest time that is kept (unix s), the life of the keys (s), and for each device: id, its record as it was
--         ("" for none), as it is, its position, its polar position, where it may be found (each a score, or "" for
--         none), the time (unix s), how many crossings, and each one's notification and text
-- RETURNS for each device 1 if it was taken, else 0
local done, i = {}, 3
local touched = false
while i <= #ARGV do
	local id, old, new = ARGV[i], ARGV[i + 1], ARGV[i + 2]
	local places = {ARGV[i + 3], ARGV[i + 4], ARGV[i + 5]}
	local time, crossings = ARGV[i + 6], tonumber(ARGV[i + 7])
	i = i + 8
	local now = redis.call('HGET', KEYS[5], id) or ''
	if now == old then
		redis.call('HSET', KEYS[5], id, new)
		redis.call('ZADD', KEYS[4], time, id)
		for k = 1, 3 do
			if places[k] ~= '' then
				redis.call('ZADD', KEYS[k], places[k], id)
			elseif old ~= '' then
				redis.call('ZREM', KEYS[k], id)
			end
		end
		for k = 0, crossings - 1 do
			redis.call('HSET', KEYS[6], ARGV[i + 2 * k], ARGV[i + 2 * k + 1])
		end
		touched = true
		done[#done + 1] = 1
	else
		done[#done + 1] = 0
	end
	i = i + 2 * crossings
end
local old = redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', '(' .. ARGV[1], 'LIMIT', 0, 100)
if #old > 0 then
	for k = 1, 4 do
		redis.call('ZREM', KEYS[k], unpack(old))
	end
	redis.call('HDEL', KEYS[5], unpack(old))
end
if touched then
	for k = 1, 5 do
		redis.call('EXPIRE', KEYS[k], ARGV[2])
	end
end
return done
