-- Changes cells that are still as the caller saw them.
-- KEYS[1] chunk
-- ARGV    triples of index, cell as seen, cell to be
-- RETURNS pairs of index, cell as it is, for those that had changed meanwhile
local refused, writes, indexes = {}, {}, {}
for i = 1, #ARGV, 3 do indexes[#indexes + 1] = ARGV[i] end
local cells = redis.call('HMGET', KEYS[1], unpack(indexes))
for k, cell in ipairs(cells) do
  local i = 3 * k - 2
  if cell == ARGV[i + 1] then
    writes[#writes + 1] = ARGV[i]
    writes[#writes + 1] = ARGV[i + 2]
  else
    refused[#refused + 1] = ARGV[i]
    refused[#refused + 1] = cell or ''
  end
end
if #writes > 0 then redis.call('HSET', KEYS[1], unpack(writes)) end
return refused
