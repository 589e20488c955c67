-- What all scripts on cells begin with. A cell is the state of one delivery:
-- "stage,attempt,since,tried,hold,device"; cell.go says what each part means.
local RANK = { ['-'] = 0, f = 1, e = 1, x = 1, s = 1, u = 2, a = 3, h = 4, d = 5, p = 6, k = 7 }
local RUNGS = { 'a', 'd', 'p', 'k' }
local counts = {}

local function parse(cell)
  return string.match(cell, '^(.),(%d+),([^,]*),([^,]*),([^,]*),(.*)$')
end

-- count notes the move of one delivery from one stage to another: it counts on
-- every rung it has reached, and off the ladder only as long as it stays there.
-- One whose providers have all taken back what they said has reached none.
local function count(old, new)
  local from, to = RANK[old], RANK[new]
  if from == 1 or from == 2 then counts[old] = (counts[old] or 0) - 1 end
  if to == 1 or to == 2 then counts[new] = (counts[new] or 0) + 1 end
  for _, rung in ipairs(RUNGS) do
    if from < RANK[rung] and to >= RANK[rung] then counts[rung] = (counts[rung] or 0) + 1 end
    if from >= RANK[rung] and to < RANK[rung] then counts[rung] = (counts[rung] or 0) - 1 end
  end
end

-- paid tells whether a provider that costs money (push.IsSMS) is among those tried.
local function paid(tried)
  for provider in string.gmatch(tried, '[^+-]+') do
    if provider == 'sms' or provider == 'smpp' then return true end
  end
  return false
end

-- deny marks a provider among those tried as one that said no (Cell.Deny); one
-- that is not among them is added where it is being tried.
local function deny(tried, provider, trying)
  local roads, found = {}, false
  for road in string.gmatch(tried, '[^+]+') do
    if road == provider or road == provider .. '-' then road, found = provider .. '-', true end
    roads[#roads + 1] = road
  end
  if not found and trying then roads[#roads + 1] = provider .. '-' end
  return table.concat(roads, '+')
end

-- void tells whether all providers that were tried have said no (Cell.Void).
local function void(tried)
  return tried ~= '' and not string.find(tried .. '+', '[^-]%+')
end

-- paidTwice counts a delivery for which money went out in vain, once.
local function paidTwice(key, index)
  if redis.call('HGET', key, '2:' .. index) == '1' then return end
  redis.call('HSET', key, '2:' .. index, '1')
  redis.call('HINCRBY', key, '#2', 1)
end

local function writeCounts(key)
  for letter, by in pairs(counts) do
    if by ~= 0 then redis.call('HINCRBY', key, '#' .. letter, by) end
  end
end
