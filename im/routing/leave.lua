-- Removes a device's presence, if it still is of one session.
--
-- KEYS[1] the device's presence
-- ARGV    node, boot, serial
-- RETURNS 1 if it was removed, else 0
local old = redis.call('GET', KEYS[1])
local prefix = ARGV[1] .. ' ' .. ARGV[2] .. ' ' .. ARGV[3] .. ' '
if old and string.sub(old, 1, #prefix) == prefix then
	return redis.call('DEL', KEYS[1])
end
return 0
