-- Removes a user's device, if it still is of one session.
--
-- KEYS[1] the user's devices (see own.lua)
-- ARGV    device, node, boot, serial
-- RETURNS 1 if it was removed, else 0
local old = redis.call('HGET', KEYS[1], ARGV[1])
local prefix = ARGV[2] .. ' ' .. ARGV[3] .. ' ' .. ARGV[4] .. ' '
if old and string.sub(old, 1, #prefix) == prefix then
	return redis.call('HDEL', KEYS[1], ARGV[1])
end
return 0
