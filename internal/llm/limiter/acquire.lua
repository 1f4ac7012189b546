-- A call asks to start.
--
-- ARGV: 1 id of the call; 2 generation of its ticket, 3 its place among requests, 4 among tokens (-1: it has none);
-- 5 prompt tokens as counted (-1: not counted), 6 output cap, 7 seconds it is ready to wait, 8 seconds after
-- which it is given up for dead; 9 requests and 10 tokens a minute as set by the worker (0: unknown).
--
-- Returns what to do, and more:
--   go, calls in flight                                    it may start, and counts as started
--   wait, seconds, generation, request place, token place  come back then, with this ticket
--   room, the same                                         too many are in flight: come back then, or when one has ended
--   later, seconds                                       longer than it is ready to wait: no ticket was given
--   count                                                tokens are limited: come back with the prompt counted
--   large, tokens, limit                                 more tokens than the limit of a minute: never

local id, gen, rPlace, tPlace = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local counted, cap, patience, lifetime = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])

affirm('r', tonumber(ARGV[9]))
affirm('t', tonumber(ARGV[10]))
advance()
local rRate, tRate = rate('r'), rate('t')

local charge = 1
if tRate then
  if counted < 0 then
    save()
    return {'count'}
  end
  charge = math.max(1, counted * (s.ratio or 1) + cap)
  local limit = known('t')
  if limit and charge > limit * 60 then
    save()
    return {'large', text(charge), text(limit * 60)}
  end
end

s.charge = charge

local function left(place, served, r) return r and math.max(0, (place - served) / r) or 0 end
local pause = math.max(0, s.at - now)
local ticketless = rPlace < 0 or gen ~= s.gen
if ticketless then
  rPlace, tPlace = s.rTail + 1, s.tTail + charge
end
local wait = pause + math.max(left(rPlace, s.rServed, rRate), left(tPlace, s.tServed, tRate))
if ticketless then
  if wait > patience then
    save()
    return {'later', text(wait)}
  end
  -- What a bucket would lose by overflowing until this call starts is lost now, so that it cannot be saved up behind
  -- calls that wait for the other bucket.
  local ahead = wait - pause
  if rRate then rPlace = math.max(rPlace, s.rServed + rRate * ahead - slack('r', rRate) + 1) end
  if tRate then tPlace = math.max(tPlace, s.tServed + tRate * ahead - slack('t', tRate, charge) + charge) end
  s.rTail, s.tTail = rPlace, tPlace
end
local function come(status, seconds)
  save()
  return {status, text(seconds), text(s.gen), text(rPlace), text(tPlace)}
end
if wait > 0.002 then return come('wait', wait) end

local n = inFlight()
if s.window and n >= math.floor(s.window) then
  -- Two callers come back for each call that is expected to end.
  s.roomAt = math.max(s.roomAt or 0, now) + math.max(0.002, (s.latency or 0.1) / math.floor(s.window) / 2)
  return come('room', s.roomAt - now)
end

redis.call('ZADD', KEYS[2], text(now + lifetime), id)
save()
return {'go', text(n + 1)}
