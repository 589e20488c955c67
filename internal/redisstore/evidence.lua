-- Replaces a device's evidence, unless it has changed since it was read.
-- KEYS[1] evidence
-- ARGV    what was read ('' for nothing), what shall stand there, how long it is kept (ms)
-- RETURNS nil where it stands there now, else what stands there instead
local now = redis.call('GET', KEYS[1]) or ''
if now ~= ARGV[1] then return now end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return false
