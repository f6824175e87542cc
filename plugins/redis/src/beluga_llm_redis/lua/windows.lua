-- Windows: who began within the last period, and when there is room again.

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
