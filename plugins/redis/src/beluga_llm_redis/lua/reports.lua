-- What is reported of requests, and the signs of life of their process.

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
