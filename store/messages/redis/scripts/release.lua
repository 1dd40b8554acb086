-- Discards a topic, or all of them when the topic is ''. Answers the objects of what is gone.
if redis.call('EXISTS', state) == 0 then return {} end
local gone = {}
if topic == '' then
  local freed = {}
  for _, member in ipairs(redis.call('ZRANGE', index, 0, -1)) do
    local cost, object, source = header(member)
    freed[source] = (freed[source] or 0) + cost
    if object ~= '-' then gone[#gone + 1] = object end
  end
  for source, cost in pairs(freed) do book(source, -cost, 0) end
  for n = 1, number('topics') do
    redis.call('HSET', state, 'released/' .. n, string.format('%d', number('last/' .. n)))
  end
  redis.call('UNLINK', index, bodies)
  redis.call('HINCRBY', state, 'epoch', 1)
else
  local n = redis.call('HGET', state, 'topic/' .. topic)
  if n then
    local last = number('last/' .. n)
    each(n, 0, last, function(member)
      local object = remove(member)
      if object ~= '-' then gone[#gone + 1] = object end
    end)
    redis.call('HSET', state, 'released/' .. n, string.format('%d', last))
  end
  -- Who releases may name any topic: beyond so many without a message, all topics count as released.
  if n or redis.call('HLEN', state) < most then
    redis.call('HINCRBY', state, 'epoch/' .. topic, 1)
  else
    redis.call('HINCRBY', state, 'epoch', 1)
  end
end
keep()
publish(session)
freed()
return gone
