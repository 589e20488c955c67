-- Puts entries down for later.
-- KEYS[1] ticks
-- ARGV    prefix of the lists, key of the count, then pairs of tick (unix ms), entry
-- RETURNS nothing
for i = 3, #ARGV, 2 do
  redis.call('RPUSH', ARGV[1] .. ARGV[i], ARGV[i + 1])
  redis.call('ZADD', KEYS[1], ARGV[i], ARGV[i])
end
redis.call('INCRBY', ARGV[2], (#ARGV - 2) / 2)
