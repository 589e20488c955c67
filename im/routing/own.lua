-- Notes where a user's device is connected.
--
-- KEYS[1] the user's devices: a hash of device and "node boot serial epoch since"
-- ARGV    device, its value, the epoch in it, expiry (ms)
-- RETURNS 1 if it was noted, 0 if a later session of the device is there
local old = redis.call('HGET', KEYS[1], ARGV[1])
if old then
	local epoch = string.match(old, '^%S+ %S+ %d+ (%d+)')
	if epoch and tonumber(epoch) > tonumber(ARGV[3]) then
		return 0
	end
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
