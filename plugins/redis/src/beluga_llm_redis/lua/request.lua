-- The request, the names of the keys, and the time.

local RPS, RPM, TPM, COSTS, SLOTS = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local LINE, SEEN, NEEDS, FACTS, PEERS = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local SHARED = 10

-- Seconds: what counts as no time; how long the state is kept that nobody touches; how long a sign
-- of life counts; how late one who waits may come back; how far a clock may be wrong.
local NEAR, KEPT, PRESENT, PUNCTUAL, LATER = 1e-6, 300, 60, 1, 5
local call = redis.call

local r = cjson.decode(ARGV[1])
local now = r.now
if not now then
    local time = call('TIME')
    now = time[1] + time[2] / 1000000
end

local function num(x) return string.format('%.17g', x) end
local function keep(key, seconds) call('PEXPIRE', key, math.ceil(seconds * 1000)) end
