-- Registers the newest delivery of a collapse key on a device.
-- KEYS[1] hash: collapse key → "accepted (unix ms)|notification|delivery" of the newest
-- ARGV    collapse key, accepted (unix ms), notification, delivery, expiry (unix s)
-- RETURNS {"old", newest notification} if a newer one is there, or
--         {"new", delivery that this one takes the place of, or ""}
local before = redis.call('HGET', KEYS[1], ARGV[1])
local replaced = ''
if before then
  local accepted, notification, delivery = string.match(before, '^(%d+)|([^|]*)|(.*)$')
  if notification ~= ARGV[3] then
    local mine, theirs = tonumber(ARGV[2]), tonumber(accepted)
    if theirs > mine or (theirs == mine and notification > ARGV[3]) then return { 'old', notification } end
    replaced = delivery
  end
end
redis.call('HSET', KEYS[1], ARGV[1], table.concat({ ARGV[2], ARGV[3], ARGV[4] }, '|'))
redis.call('EXPIREAT', KEYS[1], ARGV[5], redis.call('TTL', KEYS[1]) < 0 and 'NX' or 'GT')
return { 'new', replaced }
