-- Records what came of attempts. Proof that came meanwhile is never lowered.
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
    -- Proof of arrival came while an SMS was on its way out.
    if RANK[old] >= RANK.d and paid(ARGV[i + 4]) and not paid(before) then paidTwice(KEYS[1], ARGV[i]) end
    local stage = old
    if RANK[ARGV[i + 1]] > RANK[old] then
      stage = ARGV[i + 1]
      count(old, stage)
    end
    writes[#writes + 1] = ARGV[i]
    writes[#writes + 1] = table.concat({ stage, ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], ARGV[i + 5], device }, ',')
  end
end
if #writes > 0 then
  redis.call('HSET', KEYS[1], unpack(writes))
  writeCounts(KEYS[1])
end
return #writes / 2
