"""The one script of shared limits: what was reported, what is renewed, and what is asked for.

Theory of operation. Everything of one name lies in one hash slot, and one script looks at all of it
at one moment, by the clock of Redis; so nothing comes between looking and taking, whatever the
clocks of the processes say. A window is a sorted set of requests by the time from which they count;
a slot is a lease, which its process renews. A gate is what `beluga_llm._rate.governor` is within
one process, line by line.

Whoever was refused gets a ticket, and those with smaller ones are in the lead: a request begins
where there is room for all in the lead and for itself. So nobody is overtaken for a place that he
could have, a big request by small ones neither, and nobody waits for one that sleeps. A process has
one ticket for each model; when it has got a place, it queues again behind the other processes. A
slot is not kept for those who sleep for longer than some seconds, until a window has room.

What it says of time is how long it takes until there is room, and how long to sleep: the same where
that is known, less where what is given back may change it. A slot comes free about once in the
usual time of a request, divided by their number.

The state has an epoch, drawn when there is none. A process that knows another one is told that the
state was lost, and registers the slots that it holds again. Until all others have done so too, as
many as there were, no slots are given; but for no longer than half a lease. A clock of Redis that
was put back by seconds is a loss of the state, too: times that are far ahead would hold all back.
"""

from __future__ import annotations

import hashlib

SHARED_KEYS = (
    "rps", "rpm", "tpm", "costs", "slots", "line", "seen", "needs", "facts", "peers",
)  # fmt: skip
GATE_KEYS = ("gate", "accepted", "second", "line", "seen")

SCRIPT = """
local RPS, RPM, TPM, COSTS, SLOTS = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local LINE, SEEN, NEEDS, FACTS, PEERS = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local SHARED = 10
local NEAR, KEPT, PRESENT, PUNCTUAL, LATER = 1e-6, 300, 60, 1, 5
local FIRST, LONGEST, STEADY, GROWTH, FORGOTTEN, PROBE = 1, 30, 5, 1.1, 100, 60
local call = redis.call

local r = cjson.decode(ARGV[1])
local now = r.now
if not now then
    local time = call('TIME')
    now = time[1] + time[2] / 1000000
end

local function num(x) return string.format('%.17g', x) end
local function keep(key, seconds) call('PEXPIRE', key, math.ceil(seconds * 1000)) end

-- the epoch

local epoch, grace, usual, clock = unpack(call('HMGET', FACTS, 'epoch', 'grace', 'usual', 'clock'))
if clock and now < clock - LATER then
    for i = 1, SHARED do call('DEL', KEYS[i]) end
    epoch, grace, usual = nil, nil, nil
end
local created = not epoch
if created then
    epoch = r.fresh
    call('HSET', FACTS, 'epoch', epoch)
end
if created or r.keep then
    call('HSET', FACTS, 'clock', num(now))
    keep(FACTS, KEPT)
end
if r.epoch and r.epoch ~= epoch and not r.rejoin then return 'lost|' .. epoch end
if r.rejoin then
    local back = call('HINCRBY', FACTS, 'back', 1)
    local all = math.max(r.peers, tonumber(call('HGET', FACTS, 'all') or 0))
    if back >= all then grace = num(now) elseif not grace then grace = num(now + r.grace) end
    call('HSET', FACTS, 'grace', grace, 'all', all)
end

-- the gate of a model: a port of Governor

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

-- windows, slots and lines

local function forget(key, period)
    call('ZREMRANGEBYSCORE', key, '-inf', num(now - period + NEAR))
    return call('ZCARD', key)
end

local function forget_costs(period)
    local till, sum = num(now - period + NEAR), 0
    local ids = call('ZRANGEBYSCORE', TPM, '-inf', till)
    for i = 1, #ids, 1000 do
        local some = {unpack(ids, i, math.min(i + 999, #ids))}
        for _, cost in ipairs(call('HMGET', COSTS, unpack(some))) do sum = sum + (cost or 0) end
        call('HDEL', COSTS, unpack(some))
    end
    if #ids > 0 then
        call('ZREMRANGEBYSCORE', TPM, '-inf', till)
        call('HINCRBY', COSTS, 'sum', 0 - sum)  -- not -sum: Redis takes no "-0"
    end
    return tonumber(call('HGET', COSTS, 'sum') or 0)
end

local function until_over(over)
    local first = 0
    while true do
        local some = call('ZRANGE', TPM, first, first + 99, 'WITHSCORES')
        if #some == 0 then return nil end
        for i = 1, #some, 2 do
            over = over - (call('HGET', COSTS, some[i]) or 0)
            if over <= 0 then return some[i + 1] end
        end
        first = first + 100
    end
end

local function wait_for(key, period, need, limit, sum)
    local rounds = math.max(math.floor((need - 1) / limit), 0)
    local over = sum + need - rounds * limit - limit
    if over <= 0 then return rounds * period end
    local last
    if key == TPM then
        last = until_over(over)
    else
        last = call('ZRANGE', key, over - 1, over - 1, 'WITHSCORES')[2]
    end
    return rounds * period + math.max((last or now) + period - now, 0)
end

local function change(id, cost)
    local held = call('HGET', COSTS, id)
    if held then
        call('HINCRBY', COSTS, 'sum', cost - held)
        call('HSET', COSTS, id, cost)
    end
end

local function leave(who, it)
    call('ZREM', LINE, who)
    call('ZREM', SEEN, who)
    call('HDEL', NEEDS, who)
    call('ZREM', it.line, who)
    call('ZREM', it.seen, who)
end

local function in_the_lead(line, seen, ticket)
    for _, gone in ipairs(call('ZRANGEBYSCORE', seen, '-inf', num(now))) do
        call('ZREM', line, gone)
        call('ZREM', seen, gone)
        call('HDEL', NEEDS, gone)
    end
    if not ticket then return call('ZCARD', line) end
    return call('ZCOUNT', line, '-inf', '(' .. ticket)
end

local function awake_in_the_lead(lead, ticket)
    local soon = now + LATER * 1.25 + PUNCTUAL
    if lead == 0 or call('ZCOUNT', SEEN, '(' .. num(soon), '+inf') == 0 then return lead end
    local before = ticket and '(' .. ticket or '+inf'
    for _, other in ipairs(call('ZRANGEBYSCORE', LINE, '-inf', before)) do
        if tonumber(call('ZSCORE', SEEN, other) or 0) > soon then lead = lead - 1 end
    end
    return lead
end

local function queue(line, seen, who, ticket, again)
    call('ZADD', line, ticket, who)
    call('ZADD', seen, num(now + again * 1.25 + PUNCTUAL), who)
    keep(line, KEPT)
    keep(seen, KEPT)
end

local function undo(id, it)
    change(id, 0)
    for _, key in ipairs({RPS, RPM, SLOTS, it.second}) do call('ZREM', key, id) end
end

local function begun(one)
    for _, n in ipairs(one.windows) do
        if one.begun < r.periods[n] then
            local added = call('ZADD', KEYS[n], num(now - one.begun + one.late), one.id)
            keep(KEYS[n], r.periods[n] + LATER)
            if n == 3 and added == 1 then
                call('HSET', COSTS, one.id, one.cost)
                call('HINCRBY', COSTS, 'sum', one.cost)
                keep(COSTS, r.periods[3] + LATER)
            end
        end
    end
end

-- what was reported

for _, one in ipairs(r.reports) do
    local it = gate(one.g)
    if one.undo then undo(one.id, it) end
    if one.begun then begun(one) end
    if one.who then leave(one.who, it) end
    if one.age then
        local at = num(now - one.age)
        for _, n in ipairs(one.windows) do call('ZADD', KEYS[n], 'XX', 'LT', at, one.id) end
        if it.rate then call('ZADD', it.second, 'XX', 'LT', at, one.id) end
    end
    if one.governed then
        if one.said == 'accepted' then accepted(it, one) end
        if one.said == 'refused' then refused(it, one) end
        if one.ended then unprobe(it, one.id) end
    end
    if one.ended then
        if call('ZREM', SLOTS, one.id) == 1 and one.lasted then
            usual = num((usual or one.lasted) * 0.9 + one.lasted * 0.1)
            call('HSET', FACTS, 'usual', usual)
        end
        if one.tokens then change(one.id, one.tokens) end
    end
end
for _, id in ipairs(r.renew) do call('ZADD', SLOTS, num(now + r.lease), id) end
if #r.renew > 0 then keep(SLOTS, r.lease + 60) end

if r.bye then call('ZREM', PEERS, r.me) end
if r.keep then
    call('ZREMRANGEBYSCORE', PEERS, '-inf', num(now))
    call('ZADD', PEERS, num(now + PRESENT), r.me)
    keep(PEERS, PRESENT)
end
local peers = call('ZCARD', PEERS)  -- told each time: the share of a process depends on it

-- what is asked for

local function refusal(t, it)
    local lead = in_the_lead(LINE, SEEN, t.ticket)
    local name, wait, again = nil, 0, 0
    if t.slots > 0 then
        call('ZREMRANGEBYSCORE', SLOTS, '-inf', num(now))
        local left = (grace or now) - now
        if left > NEAR then return 'concurrency', -1, left end
        local first = awake_in_the_lead(lead, t.ticket)
        if call('ZCARD', SLOTS) + first >= t.slots then
            local soon = (usual or 0.2) / t.slots / 2 * (first + 1)
            return 'concurrency', -1, math.max(math.min(soon, 1), 0.01)
        end
    end
    local function look(named, key, period, need, limit, sum)
        local one = wait_for(key, period, need, limit, sum)
        if one > NEAR and one > wait then name, wait, again = named, one, one end
    end
    if t.rps > 0 then look('RPS', RPS, r.periods[1], 1 + lead, t.rps, forget(RPS, r.periods[1])) end
    if t.rpm > 0 then look('RPM', RPM, r.periods[2], 1 + lead, t.rpm, forget(RPM, r.periods[2])) end
    if t.tpm > 0 then
        local need, before = t.tokens, '+inf'
        if t.ticket then before = '(' .. t.ticket end
        if lead > 0 then
            local others = call('ZRANGEBYSCORE', LINE, '-inf', before, 'LIMIT', 0, 5000)
            for _, other in ipairs(call('HMGET', NEEDS, unpack(others))) do
                need = need + (other or 0)
            end
        end
        look('TPM', TPM, r.periods[3], need, t.tpm, forget_costs(r.periods[3]))
        if name == 'TPM' then again = math.min(wait, 0.5 * (lead + 1), 5) end
    end
    if name then return name, wait, again end
    if not t.adaptive then return nil end
    lead = in_the_lead(it.line, it.seen, t.ticket)
    local rate = rate_of(it)
    if it.closed - now > NEAR then
        wait = it.closed - now + lead / (rate or 1)
        return 'provider', wait, wait
    end
    if not rate then return nil end
    wait = it.next - now
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
"""

SHA = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()
