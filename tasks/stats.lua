-- What dashboards show of a queue, at one moment.
--
-- KEYS  active, pending, scheduled, retry, archived, completed, processed, failed, paused
-- ARGV  1 prefix of the keys of tasks; 2 tasks of each list whose memory is looked at; 3 of the longest pending, how many are looked at
--
-- Gives the lengths in the order of the keys up to completed, how many tasks were ever processed and failed, whether the queue is
-- paused, about how many bytes it takes, Redis' time in nanoseconds as text, and since when the longest pending tasks are (as asynq wrote it:
-- nanoseconds, as text). An id without a task counts in its list and has no memory.

local sample = tonumber(ARGV[2])
local memory = 0
local reply = {}
for i = 1, 6 do
  local n, ids
  if i <= 2 then
    n, ids = redis.call('LLEN', KEYS[i]), redis.call('LRANGE', KEYS[i], 0, sample - 1)
  else
    n, ids = redis.call('ZCARD', KEYS[i]), redis.call('ZRANGE', KEYS[i], 0, sample - 1)
  end
  reply[i] = n
  if n > 0 then
    memory = memory + (redis.call('MEMORY', 'USAGE', KEYS[i]) or 0)
    local bytes = 0
    for _, id in ipairs(ids) do
      bytes = bytes + (redis.call('MEMORY', 'USAGE', ARGV[1] .. id) or 0)
    end
    memory = memory + bytes / #ids * n
  end
end
for i = 7, 8 do
  reply[i] = tonumber(redis.call('GET', KEYS[i]) or 0)
end
reply[9] = redis.call('EXISTS', KEYS[9])
reply[10] = math.floor(memory)
local now = redis.call('TIME')
reply[11] = now[1] .. string.format('%06d', tonumber(now[2])) .. '000'
for _, id in ipairs(redis.call('LRANGE', KEYS[2], -tonumber(ARGV[3]), -1)) do
  local since = redis.call('HGET', ARGV[1] .. id, 'pending_since')
  if since then reply[#reply + 1] = since end
end
return reply
