-- Discards a topic, or all of them when the topic is ''. Answers the objects of what is gone.
if redis.call('EXISTS', state) == 0 then return {} end
local gone = {}
if topic == '' then
  objects(gone)
  for n = 1, number('topics') do
    redis.call('HSET', state, 'released/' .. n, string.format('%d', number('last/' .. n)))
  end
  redis.call('UNLINK', index, bodies)
  redis.call('HSET', state, 'bytes', 0)
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
  redis.call('HINCRBY', state, 'epoch/' .. topic, 1)
end
redis.call('HDEL', state, 'full')
keep()
publish(session)
return gone
