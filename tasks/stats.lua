-- Reads the statistics of a queue for dashboards, at one moment.
--
-- KEYS  active, pending, scheduled, retry, archived, completed, processed, failed, paused
-- ARGV  prefix of the keys of tasks, tasks to measure in each list, oldest pending tasks to read
--
-- Returns the lengths of the first six; the numbers of tasks ever processed and failed; whether
-- the queue is paused; its approximate size in bytes; the time of Redis; and since when each of the
-- oldest tasks is pending. Times are nanoseconds as text, as asynq writes them. A ghost counts in
-- its list and uses no memory.

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
