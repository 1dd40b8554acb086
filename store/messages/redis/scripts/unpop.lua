-- ARGV 6 sequence  7 header  8 payload
local token = enter('')
if not token then return {'released'} end
local sequence = tonumber(ARGV[6])
local n = redis.call('HGET', state, 'topic/' .. topic)
if not n or sequence < 1 or sequence > number('last/' .. n) then return {'never'} end
if sequence <= number('released/' .. n) then return {'released'} end
local there = false
each(n, sequence, sequence, function() there = true return true end)
if there then return {'repeat', token} end
add(place(n, sequence) .. ':' .. ARGV[7], ARGV[8])
arrived()
keep()
return {'stored', token}
