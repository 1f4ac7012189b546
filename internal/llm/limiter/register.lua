-- A process registers its use of a limiter in the list, for readers that have neither its
-- endpoint nor its key.
--
-- KEYS[1]  hash: a JSON object for each limiter, by the name of its state
-- ARGV  1  the name; 2 the JSON object; 3 seconds after which an unused limiter is removed
local now = tonumber(redis.call('TIME')[1])
local stored = redis.call('HGETALL', KEYS[1])
for i = 1, #stored, 2 do
  local known, note = pcall(cjson.decode, stored[i + 1])
  if not known or now - (tonumber(note.at) or 0) > tonumber(ARGV[3]) then
    redis.call('HDEL', KEYS[1], stored[i])
  end
end
local note = cjson.decode(ARGV[2])
note.at = now
redis.call('HSET', KEYS[1], ARGV[1], cjson.encode(note))
-- For cleanup only.
redis.call('EXPIRE', KEYS[1], 86400)
return {}
