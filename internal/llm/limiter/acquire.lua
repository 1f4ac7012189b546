-- A call asks to start.
--
-- ARGV  1  id of the call
--       2  generation of its ticket; 3 its place among requests, 4 among tokens (-1: it has no ticket)
--       5  prompt tokens as counted (-1: not counted)
--       6  output cap
--       7  seconds that it may wait
--       8  seconds after which it counts as lost
--       9  requests and 10 tokens per minute as set by the process (0: unknown)
--
-- Returns one of:
--   go, calls in flight
--       It may start, and counts as in flight.
--   wait, seconds, generation, request place, token place
--       Come back after the seconds, with this ticket.
--   room, seconds, generation, request place, token place
--       Too many calls are in flight: come back after the seconds, or when one has ended.
--   later, seconds
--       The wait would be longer than it may wait. No ticket is issued.
--   count
--       Tokens are limited: come back with the prompt counted.
--   large, tokens, limit
--       The call takes more tokens than the limit of a minute and can never start.

local id, gen, rPlace, tPlace = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local counted, cap, patience, lifetime = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])

set('r', tonumber(ARGV[9]))
set('t', tonumber(ARGV[10]))
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

-- left returns the seconds until a bucket with rate r has served a place.
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
  -- A bucket that overflows until this call starts loses what it cannot hold. It loses it now, so
  -- that calls waiting for the other bucket cannot save it up.
  local ahead = wait - pause
  if rRate then rPlace = math.max(rPlace, s.rServed + rRate * ahead - slack('r', rRate) + 1) end
  if tRate then tPlace = math.max(tPlace, s.tServed + tRate * ahead - slack('t', tRate, charge) + charge) end
  s.rTail, s.tTail = rPlace, tPlace
end
local function comeBack(status, seconds)
  save()
  return {status, text(seconds), text(s.gen), text(rPlace), text(tPlace)}
end
if wait > 0.002 then return comeBack('wait', wait) end

local n = inFlight()
if s.window and n >= math.floor(s.window) then
  -- Two calls come back for each call that is expected to end.
  s.roomAt = math.max(s.roomAt or 0, now) + math.max(0.002, (s.latency or 0.1) / math.floor(s.window) / 2)
  return comeBack('room', s.roomAt - now)
end

redis.call('ZADD', KEYS[2], text(now + lifetime), id)
save()
return {'go', text(n + 1)}
