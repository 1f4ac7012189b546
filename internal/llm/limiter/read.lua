-- Reads the state. It writes nothing.
--
-- ARGV  1  tokens that a call takes (0: unknown)
--
-- Returns: now; requests and tokens per minute (0: no limit); the learned limit of calls in
-- flight (0: none); calls in flight; seconds until a call that asks now may start; seconds until
-- the end of a pause.

-- A learned rate above this many per second only shows that nothing was refused for long.
local BOUNDLESS = 1e6

if #stored == 0 then return {text(now), '0', '0', '0', '0', '0', '0'} end

local function perMinute(p)
  local a, b = known(p), learned(p)
  if b and b > BOUNDLESS then b = nil end
  local r = a and b and math.min(a, b) or a or b
  return r and r * 60 or 0
end
local function left(place, served, r) return r and math.max(0, (place - served) / r) or 0 end

local rpm, tpm = perMinute('r'), perMinute('t')
local pause = math.max(0, s.at - now)
local charge = math.max(1, tonumber(ARGV[1]), s.charge or 0)
advance()
local wait = pause + math.max(left(s.rTail + 1, s.rServed, rate('r')), left(s.tTail + charge, s.tServed, rate('t')))
local n = redis.call('ZCOUNT', KEYS[2], '(' .. text(now), '+inf')
local window = s.window and math.floor(s.window) or 0
if window > 0 and n >= window then
  wait = math.max(wait, math.max(s.roomAt or 0, now) - now + (s.latency or 0.1) / window)
end
return {text(now), text(rpm), text(tpm), text(window), text(n), text(wait), text(pause)}
