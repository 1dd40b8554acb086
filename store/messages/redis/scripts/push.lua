-- ARGV 5 epoch or ''  6 header  7 limit of the session's bytes  8 source  9 ID  10 'look' or 'store'  11 payload
-- 'look' answers what a push would come to, and stores nothing.
local token = enter(ARGV[5])
if not token then return {'released'} end
local source, id = ARGV[8], ARGV[9]
local name = 'topic/' .. topic
local n = redis.call('HGET', state, name)
if not n then
  n = redis.call('HINCRBY', state, 'topics', 1)
  redis.call('HSET', state, name, n)
end
local mark = n .. ':' .. #source .. ':' .. source .. ':' .. id
if id ~= '' and redis.call('SISMEMBER', seen, mark) == 1 then
  keep()
  return {'repeat', token}
end
local cost = tonumber(string.match(ARGV[6], '^%d+'))
if number('bytes') + cost > tonumber(ARGV[7]) then
  redis.call('HSET', state, 'full', 1)
  keep()
  return {'full', token}
end
if ARGV[10] == 'store' then
  local sequence = redis.call('HINCRBY', state, 'last/' .. n, 1)
  add(place(n, sequence) .. ':' .. ARGV[6], ARGV[11])
  if id ~= '' then redis.call('SADD', seen, mark) end
  arrived()
end
keep()
return {'stored', token}
