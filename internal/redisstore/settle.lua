-- Records what came of attempts. Proof that came meanwhile is never lowered, and
-- what providers took falls only if they have all taken it back.
-- KEYS[1] chunk
-- ARGV    six each: index, stage, attempt, since, tried, hold
-- RETURNS how many were recorded
local indexes, writes = {}, {}
for i = 1, #ARGV, 6 do indexes[#indexes + 1] = ARGV[i] end
local cells = redis.call('HMGET', KEYS[1], unpack(indexes))
for k, cell in ipairs(cells) do
  if cell then
    local i = 6 * k - 5
    local old, _, _, before, _, device = parse(cell)
    -- Proof of arrival came while an SMS was on its way out, and not from it.
    if RANK[old] >= RANK.d and paid(ARGV[i + 4]) and not paid(before) then
      if redis.call('HGET', KEYS[1], '2:' .. ARGV[i]) == '0' then
        redis.call('HDEL', KEYS[1], '2:' .. ARGV[i])
      else
        paidTwice(KEYS[1], ARGV[i])
      end
    end
    local stage, tried = old, ARGV[i + 4]
    for road in string.gmatch(before, '([^+]+)-') do tried = deny(tried, road, false) end -- said meanwhile
    if RANK[ARGV[i + 1]] > RANK[old] or ARGV[i + 1] == 'f' and RANK[old] >= RANK.u and RANK[old] < RANK.d and void(tried) then
      stage = ARGV[i + 1]
      count(old, stage)
    end
    writes[#writes + 1] = ARGV[i]
    writes[#writes + 1] = table.concat({ stage, ARGV[i + 2], ARGV[i + 3], tried, ARGV[i + 5], device }, ',')
  end
end
if #writes > 0 then
  redis.call('HSET', KEYS[1], unpack(writes))
  writeCounts(KEYS[1])
end
return #writes / 2
