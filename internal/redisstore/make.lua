-- Makes a chunk: one blank cell for each device. Whoever comes first decides.
-- KEYS[1] chunk
-- ARGV    expiry (unix s), devices ...
-- RETURNS 1 if it was made, 0 if it was there
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
local fields = { 'n', #ARGV - 1 }
for i = 2, #ARGV do
  fields[#fields + 1] = i - 2
  fields[#fields + 1] = '-,0,0,,,' .. ARGV[i]
end
redis.call('HSET', KEYS[1], unpack(fields))
redis.call('EXPIREAT', KEYS[1], ARGV[1])
return 1
