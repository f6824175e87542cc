-- The gate of a model after a 429: beluga_llm._rate.governor, line by line.

-- Seconds, but for the growth of the rate in each second.
local FIRST, LONGEST, STEADY, GROWTH, FORGOTTEN, PROBE = 1, 30, 5, 1.1, 100, 60

local NUMBERS = {'rate', 'next', 'closed', 'closings', 'last', 'streak', 'since', 'no_probe'}
local gates = {}

local function gate(g)
    if gates[g] then return gates[g] end
    local base = SHARED + 5 * (g - 1)
    local it = {state = KEYS[base + 1], accepted = KEYS[base + 2], second = KEYS[base + 3],
                line = KEYS[base + 4], seen = KEYS[base + 5]}
    local raw = call('HMGET', it.state, 'probe', unpack(NUMBERS))
    it.probe = raw[1] ~= '' and raw[1] or nil
    for i, name in ipairs(NUMBERS) do it[name] = tonumber(raw[i + 1] or nil) end
    if it.last and it.last > now + LATER then
        for i = 1, 5 do call('DEL', KEYS[base + i]) end
        for _, name in ipairs(NUMBERS) do it[name] = nil end
        it.probe = nil
    end
    it.next, it.closed = it.next or -1e300, it.closed or -1e300
    it.closings, it.streak, it.no_probe = it.closings or 0, it.streak or 0, it.no_probe or -1e300
    gates[g] = it
    return it
end

local function save(it)
    if not it.changed then return end
    local values = {'probe', it.probe or ''}
    for _, name in ipairs(NUMBERS) do
        if it[name] then
            values[#values + 1] = name
            values[#values + 1] = num(it[name])
        end
    end
    call('DEL', it.state)
    call('HSET', it.state, unpack(values))
    keep(it.state, math.max(KEPT, it.closed - now + 60))
end

local function rate_of(it)
    if not it.rate then return nil end
    local growing = now - it.last - STEADY
    if growing > FORGOTTEN then
        it.rate, it.changed = nil, true
        return nil
    end
    return it.rate * GROWTH ^ math.max(growing, 0)
end

local function close(it, till)
    it.closed = math.max(it.closed, till)
    it.next = math.max(it.next, it.closed)
    it.changed = true
end

local function seen_lately(it)
    call('ZREMRANGEBYSCORE', it.accepted, '-inf', num(now - 1 + NEAR))
    return call('ZCARD', it.accepted)
end

local function unprobe(it, id)
    if it.probe == id then it.probe, it.changed = nil, true end
end

local function accepted(it, one)
    if one.age < 1 then
        call('ZADD', it.accepted, num(now - one.age), one.id)
        keep(it.accepted, LATER)
    end
    if one.closings == it.closings and it.streak > 0 then it.streak, it.changed = 0, true end
    unprobe(it, one.id)
    for _, advice in ipairs(one.advice or {}) do
        close(it, now - one.age + advice[1])
        if advice[2] and not it.rate then it.rate, it.last = advice[2], now end
    end
end

local function refused(it, one)
    unprobe(it, one.id)
    local seen, after = seen_lately(it), one.after
    if seen > 0 or it.rate then it.no_probe = now + STEADY end
    it.last = now
    if one.closings < it.closings then
        it.rate = math.max(it.rate or 1, seen)
        close(it, now - one.age + (after or 0))
        return
    end
    if not after then
        after = math.min(FIRST * 2 ^ it.streak, LONGEST)
        it.streak = math.min(it.streak + 1, 10)
    end
    it.rate = math.max(seen, 1)
    it.closings = it.closings + 1
    close(it, now - one.age + after)
end
