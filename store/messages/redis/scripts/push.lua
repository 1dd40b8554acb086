-- ARGV 6 epoch or ''  7 header  8 source  9 ID  10 'look' or 'store'  11 payload  12 mark of the ID  13 mark of the topic
--      14 limits: of the session, its job, the source, and all, apart by spaces
-- 'look' answers what a push would come to, and stores nothing.
-- Answers {'full', epoch, which limit, bytes that are taken of it, bytes that it needs} when there is no room.
local token = enter(ARGV[6])
if not token then return {'released'} end
local source, id = ARGV[8], ARGV[9]
local name = 'topic/' .. topic
local n = redis.call('HGET', state, name)
local mark = n and n .. ':' .. #source .. ':' .. source .. ':' .. id
if n and id ~= '' and redis.call('SISMEMBER', seen, mark) == 1 then
  keep()
  return {'repeat', token}
end
local kept = tonumber(ARGV[12])
if not n then kept = kept + tonumber(ARGV[13]) end
local limits = {}
for limit in string.gmatch(ARGV[14], '%d+') do limits[#limits + 1] = tonumber(limit) end
if number('kept') + kept > limits[1] then
  keep()
  return {'spent', token}
end
local cost = tonumber(string.match(ARGV[7], '^%d+'))
local taken = redis.call('HMGET', shared, 'job/' .. job, 'peer/' .. source, 'all')
for level, used in ipairs({number('bytes'), tonumber(taken[1] or 0), tonumber(taken[2] or 0), tonumber(taken[3] or 0)}) do
  local need = cost
  if level > 1 then need = cost + kept end
  if used + need > limits[level] then
    want(({'session', 'job/' .. job, 'peer/' .. source, 'all'})[level])
    keep()
    return {'full', token, string.format('%d', level), string.format('%d', used), string.format('%d', need)}
  end
end
if ARGV[10] == 'store' then
  if not n then
    n = redis.call('HINCRBY', state, 'topics', 1)
    redis.call('HSET', state, name, n)
    mark = n .. ':' .. #source .. ':' .. source .. ':' .. id
  end
  local sequence = redis.call('HINCRBY', state, 'last/' .. n, 1)
  add(place(n, sequence) .. ':' .. ARGV[7], ARGV[11])
  book(source, 0, kept)
  if id ~= '' then redis.call('SADD', seen, mark) end
  arrived()
end
keep()
return {'stored', token}
