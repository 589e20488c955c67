-- Takes in one piece of evidence.
-- KEYS[1] chunk
-- ARGV    index ('' if only the device is known), stage, device ('' if the reporter does not know it),
--         '1' if it proves arrival by a road that costs nothing,
--         the provider that says the message will not arrive ('' if none does)
-- RETURNS the index and the cell as it was, or nil if there is no such delivery of this device
local index, cell = ARGV[1], nil
if index ~= '' then
  cell = redis.call('HGET', KEYS[1], index)
else
  index, cell = findDevice(KEYS[1], ARGV[3])
end
if not cell then return false end
local old, attempt, since, tried, hold, device = parse(cell)
if ARGV[3] ~= '' and ARGV[3] ~= device then return false end
if ARGV[4] == '1' and paid(tried) then paidTwice(KEYS[1], index) end
if ARGV[4] ~= '1' and RANK[ARGV[2]] >= RANK.d and not paid(tried) then
  redis.call('HSETNX', KEYS[1], '2:' .. index, '0') -- an SMS brings its own proof before its attempt is settled
end
if ARGV[5] ~= '' then -- a no is noted; what becomes of the delivery is for its worker to say
  local noted = deny(tried, ARGV[5], string.sub(hold, 1, 1) == 'c')
  if noted ~= tried and RANK[old] ~= 1 and RANK[old] < RANK.d then
    redis.call('HSET', KEYS[1], index, table.concat({ old, attempt, since, noted, hold, device }, ','))
  end
  return { index, cell }
end
if RANK[ARGV[2]] > RANK[old] then
  redis.call('HSET', KEYS[1], index, table.concat({ ARGV[2], attempt, since, tried, hold, device }, ','))
  count(old, ARGV[2])
  writeCounts(KEYS[1])
end
return { index, cell }
