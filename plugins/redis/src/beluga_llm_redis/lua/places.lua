-- What is asked for: a place in all limits, or the limit that has none.

-- Each of these three gives nothing where there is room, or the limit, how long until there is room,
-- and how long to sleep.

local function no_slot(t, lead)
    call('ZREMRANGEBYSCORE', SLOTS, '-inf', num(now))
    local left = (grace or now) - now
    if left > NEAR then return 'concurrency', -1, left end
    local first = awake_in_the_lead(lead, t.ticket)
    if call('ZCARD', SLOTS) + first < t.slots then return nil end
    local soon = (usual or 0.2) / t.slots / 2 * (first + 1)
    return 'concurrency', -1, math.max(math.min(soon, 1), 0.01)
end

local function tokens_in_the_lead(t, lead)
    if lead == 0 then return 0 end
    local sum, before = 0, t.ticket and '(' .. t.ticket or '+inf'
    local others = call('ZRANGEBYSCORE', LINE, '-inf', before, 'LIMIT', 0, 5000)
    for _, need in ipairs(call('HMGET', NEEDS, unpack(others))) do sum = sum + (need or 0) end
    return sum
end

local function no_window(t, lead)
    local name, wait, again = nil, 0, 0
    local function look(named, key, period, need, limit, sum)
        local one = wait_for(key, period, need, limit, sum)
        if one > NEAR and one > wait then name, wait, again = named, one, one end
    end
    if t.rps > 0 then look('RPS', RPS, r.periods[1], 1 + lead, t.rps, forget(RPS, r.periods[1])) end
    if t.rpm > 0 then look('RPM', RPM, r.periods[2], 1 + lead, t.rpm, forget(RPM, r.periods[2])) end
    if t.tpm > 0 then
        local need = t.tokens + tokens_in_the_lead(t, lead)
        look('TPM', TPM, r.periods[3], need, t.tpm, forget_costs(r.periods[3]))
        if name == 'TPM' then again = math.min(wait, 0.5 * (lead + 1), 5) end
    end
    return name, wait, again
end

local function closed_gate(t, it)
    local lead, rate = in_the_lead(it.line, it.seen, t.ticket), rate_of(it)
    if it.closed - now > NEAR then
        local wait = it.closed - now + lead / (rate or 1)
        return 'provider', wait, wait
    end
    if not rate then return nil end
    local wait = it.next - now
    if wait <= NEAR then
        wait = wait_for(it.second, 1, 1, math.max(math.floor(rate), 1), forget(it.second, 1))
    end
    if wait <= NEAR and lead == 0 then
        it.next = math.max(it.next, now) + 1 / rate
    elseif lead == 0 and not (it.probe and now - it.since < PROBE) and now >= it.no_probe then
        it.probe, it.since = t.id, now
    else
        wait = math.max(wait, 0) + lead / rate
        return 'provider', wait, wait
    end
    it.changed = true
    call('ZADD', it.second, num(now + t.late), t.id)
    keep(it.second, 1 + LATER)
    return nil
end

local function refusal(t, it)
    local lead = in_the_lead(LINE, SEEN, t.ticket)
    local name, wait, again
    if t.slots > 0 then name, wait, again = no_slot(t, lead) end
    if not name then name, wait, again = no_window(t, lead) end
    if not name and t.adaptive then name, wait, again = closed_gate(t, it) end
    return name, wait, again
end

local function take(t, it)
    local at = num(now + t.late)
    if t.rps > 0 then
        call('ZADD', RPS, at, t.id)
        keep(RPS, r.periods[1] + LATER)
    end
    if t.rpm > 0 then
        call('ZADD', RPM, at, t.id)
        keep(RPM, r.periods[2] + LATER)
    end
    if t.tpm > 0 then
        call('ZADD', TPM, at, t.id)
        call('HSET', COSTS, t.id, t.tokens)
        call('HINCRBY', COSTS, 'sum', t.tokens)
        keep(TPM, r.periods[3] + LATER)
        keep(COSTS, r.periods[3] + LATER)
    end
    if t.slots > 0 then
        call('ZADD', SLOTS, num(now + r.lease), t.id)
        keep(SLOTS, r.lease + 60)
    end
end

local name, wait, again, ticket, closings = 'none', 0, 0, '', 0
if r.take then
    local t = r.take
    local it = gate(t.g)
    if t.repeated then undo(t.id, it) end
    name, wait, again = refusal(t, it)
    closings = it.closings
    if not name then
        name, wait, again = '', 0, 0
        take(t, it)
        if t.ticket then leave(t.who, it) end
    elseif t.waits then
        ticket = t.ticket or call('HINCRBY', FACTS, 'seq', 1)
        again = math.max(again, 0.005)
        leave(t.who, it)
        if name == 'provider' then
            queue(it.line, it.seen, t.who, ticket, again)
        else
            queue(LINE, SEEN, t.who, ticket, again)
            call('HSET', NEEDS, t.who, t.tokens)
            keep(NEEDS, KEPT)
        end
    end
end
for _, it in pairs(gates) do save(it) end
local said = {name, epoch, num(wait), num(again), tostring(ticket), tostring(closings), peers}
return table.concat(said, '|')
