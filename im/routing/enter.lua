-- Records where a device is connected.
--
-- KEYS[1] the device's presence
-- ARGV    node, boot, serial, since (Unix ms), expiry (ms), restore (1 or 0)
-- RETURNS {result, before, now}: result 0 stale, 1 entered, 2 known, 3 held (see
--         routing.Result); before is the value that was there, "" if none, now
--         the one that is.
--
-- The value is "node boot serial epoch since". The epoch is Redis' own clock in
-- microseconds, or one more than the last: the same for all nodes, and rising
-- even over the loss of all data.
local old = redis.call('GET', KEYS[1])
local epoch = 0
if old then
	local node, boot, serial, last = string.match(old, '^(%S+) (%S+) (%d+) (%d+)')
	if node then
		if node == ARGV[1] and boot == ARGV[2] then
			if tonumber(serial) > tonumber(ARGV[3]) then
				return {0, old, old}
			end
			if tonumber(serial) == tonumber(ARGV[3]) then
				redis.call('PEXPIRE', KEYS[1], ARGV[5])
				return {2, old, old}
			end
		elseif node ~= ARGV[1] and ARGV[6] == '1' then
			return {3, old, old}
		end
		epoch = tonumber(last)
	end
end
local now = redis.call('TIME')
epoch = math.max(epoch + 1, now[1] * 1000000 + now[2])
local value = string.format('%s %s %s %.0f %s', ARGV[1], ARGV[2], ARGV[3], epoch, ARGV[4])
redis.call('SET', KEYS[1], value, 'PX', ARGV[5])
return {1, old or '', value}
