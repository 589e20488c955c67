-- findDevice finds the cell of a device in a chunk. Chunks of an audience that
-- was looked up have their devices in order, so a few steps find it; those of a
-- list that the caller named are searched from end to end.
local function findDevice(key, device)
  local n = tonumber(redis.call('HGET', key, 'n') or 0)
  local low, high = 0, n - 1
  while low <= high do
    local at = math.floor((low + high) / 2)
    local cell = redis.call('HGET', key, at)
    local _, _, _, _, _, there = parse(cell)
    if there == device then return tostring(at), cell end
    if there < device then low = at + 1 else high = at - 1 end
  end
  for at = 0, n - 1 do
    local cell = redis.call('HGET', key, at)
    local _, _, _, _, _, there = parse(cell)
    if there == device then return tostring(at), cell end
  end
  return nil, nil
end
