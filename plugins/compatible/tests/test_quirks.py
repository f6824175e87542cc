"""What each row makes of options, tools, reasoning and parts on the wire."""

from __future__ import annotations

import pytest
from support.compatible import body_of, dialect_of, encode, entries

from beluga_llm import (
    AIMessage,
    AudioPart,
    Capabilities,
    FilePart,
    HumanMessage,
    ImagePart,
    ReasoningConfig,
    ResponseFormat,
    SystemMessage,
    TextPart,
    ToolCall,
    ToolDefinition,
    ToolMessage,
)

WEATHER = ToolDefinition("weather", "The weather", {"type": "object", "properties": {}}, True)
FORM = ResponseFormat.json_schema({"type": "object"}, name="thing")
ALL = {
    "temperature": 0.5, "top_p": 0.9, "top_k": 7, "seed": 3, "n": 2, "frequency_penalty": 0.1,
    "presence_penalty": 0.2, "logprobs": True, "top_logprobs": 2, "logit_bias": {"1": 2},
    "user": "ann", "stop": ("END",), "max_tokens": 9,
}  # fmt: skip
"""An option each, none of which asks for nothing."""

rows = pytest.mark.parametrize("entry", entries())


def noted(*args, **more):
    return {note.name for note in encode(*args, **more).notes}


def sent(entry, **more):
    """The body but for model and messages."""
    body = body_of(entry, **more)
    return {name: body[name] for name in body if name not in ("model", "messages")}


# --- options -------------------------------------------------------------------------------------

LACKS = {
    "groq": "logprobs top_logprobs logit_bias n top_k",
    "deepseek": "seed n top_k logit_bias user",
    "xai": "top_k",
    "perplexity": "seed logit_bias user",
    "sambanova": "logprobs top_logprobs logit_bias n seed user",
    "cerebras": "frequency_penalty presence_penalty logit_bias top_k",
    "zai": "frequency_penalty presence_penalty logprobs top_logprobs logit_bias seed n top_k",
}
RENAMED = {"zai": {"user": "user_id"}}


@pytest.mark.row("PROV-02", "PROV-03", "OPTI-02", "OPTI-05", "OPTI-27")
@rows
@pytest.mark.parametrize("streaming", [False, True])
def test_options(entry, streaming):
    lacks = set(LACKS.get(entry, "").split())
    assert noted(entry, streaming=streaming, **ALL) == lacks
    body = sent(entry, streaming=streaming, **ALL)
    field = "max_completion_tokens" if entry in ("groq", "cerebras") else "max_tokens"
    wanted = {name: value for name, value in ALL.items() if name not in {*lacks, "max_tokens"}}
    wanted = {RENAMED.get(entry, {}).get(name, name): wanted[name] for name in wanted}
    if entry == "together":  # a number of alternatives
        del wanted["top_logprobs"]
        wanted["logprobs"] = 2
    if "stop" in wanted:
        wanted["stop"] = ["END"]
    if streaming:
        wanted["stream"] = True
        if entry not in ("perplexity", "databricks"):
            wanted["stream_options"] = {"include_usage": True}
    assert body == {**wanted, field: 9}


@pytest.mark.row("OPTI-08", "OPTI-27")
@rows
def test_response_formats(entry):
    objects = entry not in ("perplexity", "lmstudio")
    schemas = entry not in ("deepseek", "zai")
    for form, has in ((ResponseFormat.json(), objects), (FORM, schemas)):
        assert noted(entry, response_format=form) == (set() if has else {"response_format"})
        assert ("response_format" in sent(entry, response_format=form)) == has
    known = dialect_of(entry).capabilities("m")
    assert known.json_object is (None if objects else False)
    assert known.json_schema is (None if schemas else False)
    if schemas:
        assert sent(entry, response_format=FORM)["response_format"] == {
            "type": "json_schema",
            "json_schema": {"name": "thing", "strict": True, "schema": {"type": "object"}},
        }


@pytest.mark.row("PROV-33", "TOOL-19", "OPTI-27")
@rows
def test_tools(entry):
    if entry == "perplexity":
        assert noted(entry, tools=[WEATHER], tool_choice="required") == {"tools"}
        assert sent(entry, tools=[WEATHER], tool_choice="required") == {}
        assert dialect_of(entry).capabilities("m").tools is False
        return
    no_required = entry in ("moonshot", "qwen")
    for choice in ("auto", "none"):
        assert sent(entry, tools=[WEATHER], tool_choice=choice)["tool_choice"] == choice
    assert noted(entry, tools=[WEATHER], tool_choice="required") == (
        {"tool_choice"} if no_required else set()
    )
    named = sent(entry, tools=[WEATHER], tool_choice="weather")
    assert named["tool_choice"] == {"type": "function", "function": {"name": "weather"}}
    strict = entry not in ("moonshot", "snowflake", "zai")
    assert ("strict" in named["tools"][0]["function"]) == strict
    assert named["tools"][0]["function"]["parameters"] == WEATHER.input_schema
    lacks = {"parallel_tool_calls"} if entry in ("cerebras", "deepseek", "zai") else set()
    assert noted(entry, tools=[WEATHER], parallel_tool_calls=False) == lacks


@pytest.mark.row("PROV-33", "OPTI-27")
@pytest.mark.parametrize("model", ["deepseek-reasoner", "deepseek-flash", "deepseek-v4-flash"])
@pytest.mark.parametrize("choice", ["required", "weather"])
def test_deepseeks_thinking_models_choose_for_themselves(model, choice):
    options = {"model": model, "tools": [WEATHER], "tool_choice": choice}
    assert noted("deepseek", **options) == {"tool_choice"}
    assert "tool_choice" not in sent("deepseek", **options)
    assert dialect_of("deepseek").capabilities(model).tool_choice == {"auto", "none"}
    assert "tool_choice" in sent("deepseek", **{**options, "model": "deepseek-chat"})


# --- models --------------------------------------------------------------------------------------

REASONING = {"stop", "frequency_penalty", "presence_penalty"}
FIXED = {"temperature", "top_p", "n", "frequency_penalty", "presence_penalty"}


@pytest.mark.row("OPTI-27", "PROV-25")
@pytest.mark.parametrize(
    ("entry", "model", "lacks"),
    [
        ("xai", "grok-4", {*REASONING, "reasoning_effort"}),
        ("xai", "grok-4-0709", {*REASONING, "reasoning_effort"}),
        ("xai", "grok-4-fast-reasoning", {*REASONING, "reasoning_effort"}),
        ("xai", "grok-4-fast-non-reasoning", {"reasoning_effort"}),
        ("xai", "grok-4-1-fast-non-reasoning", {"reasoning_effort"}),
        ("xai", "grok-4.20-reasoning", {*REASONING, "reasoning_effort"}),
        ("xai", "grok-4.20-0309-non-reasoning", {"reasoning_effort"}),
        ("xai", "grok-4.3", REASONING),
        ("xai", "grok-4.9", REASONING),
        ("xai", "grok-3-mini", REASONING),
        ("xai", "grok-3", {"presence_penalty", "reasoning_effort"}),
        ("xai", "grok-code-fast-1", {*REASONING, "reasoning_effort"}),
        ("xai", "grok-7", set()),
        ("moonshot", "kimi-k2.6", FIXED),
        ("moonshot", "kimi-k3", FIXED),
        ("moonshot", "kimi-k2-0905-preview", set()),
        ("moonshot", "moonshot-v1-8k", {"reasoning_effort"}),
    ],
)
def test_what_models_refuse(entry, model, lacks):
    every = {**ALL, "reasoning": ReasoningConfig("low"), "model": model}
    found = noted(entry, **every) - noted(entry, **{**every, "model": "m"})
    assert found == lacks
    nothing = {"temperature": 1, "n": 1, "frequency_penalty": 0.0}
    assert noted(entry, model=model, **nothing) == set()


@pytest.mark.row("CHAT-19", "PROV-25")
@pytest.mark.parametrize(
    ("entry", "model", "known"),
    [
        ("deepseek", "deepseek-flash", {"reasoning": True, "images": True}),
        ("deepseek", "deepseek-v4-pro", {"reasoning": True, "images": False}),
        ("deepseek", "deepseek-chat", {"reasoning": None, "images": None}),
        ("groq", "openai/gpt-oss-120b", {"reasoning": True}),
        ("xai", "grok-4.3", {"reasoning": True}),
        ("xai", "grok-4-fast-non-reasoning", {"reasoning": False}),
        ("snowflake", "llama3.1-8b", {"tools": False, "json_schema": False, "json_object": False}),
        ("snowflake", "claude-sonnet-4-6", {"tools": None, "json_object": False}),
        ("cerebras", "gpt-oss-120b", {"reasoning": True, "parallel_tool_calls": False}),
        ("perplexity", "sonar", {"tools": False, "stream_usage": True, "seed": False}),
        ("vllm", "any", {"files": False, "tools": None}),
        ("moonshot", "kimi-k2.6", {"reasoning": True, "n": False}),
    ],
)
def test_what_is_known_of_models(entry, model, known):
    found = dialect_of(entry).capabilities(model)
    assert {name: getattr(found, name) for name in known} == known


@pytest.mark.row("CHAT-19")
def test_what_is_known_of_models_in_the_responses_api():
    dialect = dialect_of("xai", api="responses")
    assert dialect.capabilities("grok-4-fast-non-reasoning").reasoning is False
    assert dialect.capabilities("grok-4.3") == Capabilities(
        reasoning=True, n=False, seed=False, audio=False, video=False
    )
    assert dialect.capabilities("other").reasoning is None


@pytest.mark.row("CHAT-19", "PROV-25")
@rows
def test_nothing_else_is_known_of_a_model_that_is_not_in_the_table(entry):
    known = dialect_of(entry).capabilities("some/unheard-of-model")
    assert True not in (known.tools, known.images, known.audio, known.reasoning, known.json_schema)


# --- reasoning -----------------------------------------------------------------------------------

ON, OFF = {"thinking": {"type": "enabled"}}, {"thinking": {"type": "disabled"}}


@pytest.mark.row("REAS-01", "REAS-02", "REAS-12", "OPTI-27")
@pytest.mark.parametrize(
    ("entry", "model", "asked", "fields", "lacks"),
    [
        ("groq", "openai/gpt-oss-20b", ("low",), {"reasoning_effort": "low"}, ()),
        ("groq", "openai/gpt-oss-20b", ("xhigh",), {"reasoning_effort": "high"}, ()),
        ("groq", "openai/gpt-oss-20b", ("none",), {}, ("reasoning_effort",)),
        ("groq", "qwen/qwen3-32b", ("none",), {"reasoning_effort": "none"}, ()),
        (
            "groq", "qwen/qwen3-32b", ("high",),
            {"reasoning_effort": "default", "reasoning_format": "parsed"}, (),
        ),
        ("groq", "m", ("high",), {"reasoning_effort": "high"}, ()),
        ("together", "m", ("none",), {"reasoning": {"enabled": False}}, ()),
        ("together", "m", ("max",), {"reasoning_effort": "high"}, ()),
        ("fireworks", "m", ("none",), {"reasoning_effort": "none"}, ()),
        ("fireworks", "m", (None, 900), {"reasoning_effort": 900}, ()),
        ("fireworks", "accounts/fireworks/models/gpt-oss-20b", (None, 900), {},
         ("reasoning_budget",)),
        ("deepseek", "deepseek-flash", ("high",), {**ON, "reasoning_effort": "high"}, ()),
        ("deepseek", "deepseek-flash", ("none",), OFF, ()),
        ("deepseek", "deepseek-flash", (None, 900), {}, ("reasoning_budget",)),
        ("xai", "grok-4.3", ("none",), {"reasoning_effort": "none"}, ()),
        ("xai", "grok-4.3", ("minimal",), {"reasoning_effort": "low"}, ()),
        ("openrouter", "m", ("low",), {"reasoning": {"effort": "low"}}, ()),
        ("openrouter", "m", (None, 900), {"reasoning": {"max_tokens": 900}}, ()),
        ("vercel", "m", ("none",), {"reasoning": {"effort": "none"}}, ()),
        ("snowflake", "claude-x", ("low",), {"reasoning": {"effort": "low"}}, ()),
        ("perplexity", "sonar-reasoning-pro", ("minimal",), {"reasoning_effort": "minimal"}, ()),
        ("perplexity", "sonar-reasoning-pro", ("none",), {}, ("reasoning_effort",)),
        ("qwen", "qwen-plus", ("medium",), {"enable_thinking": True}, ()),
        ("qwen", "qwen-plus", ("none",), {"enable_thinking": False}, ()),
        ("qwen", "qwen-plus", (None, 50), {"enable_thinking": True, "thinking_budget": 50}, ()),
        ("sambanova", "gpt-oss-120b", ("high",), {"reasoning_effort": "high"}, ()),
        ("sambanova", "DeepSeek-V3.1", ("high",),
         {"chat_template_kwargs": {"enable_thinking": True}}, ()),
        ("sambanova", "DeepSeek-V3.1", ("none",),
         {"chat_template_kwargs": {"enable_thinking": False}}, ()),
        ("cerebras", "gpt-oss-120b", ("low",),
         {"reasoning_effort": "low", "reasoning_format": "parsed"}, ()),
        ("cerebras", "gpt-oss-120b", ("none",), {}, ("reasoning_effort",)),
        ("cerebras", "zai-glm-4.7", ("none",), {"disable_reasoning": True}, ()),
        ("cerebras", "zai-glm-4.7", ("high",), {"reasoning_format": "parsed"}, ()),
        ("moonshot", "kimi-k2.6", ("high",), ON, ()),
        ("moonshot", "kimi-k2.6", ("none",), OFF, ()),
        ("moonshot", "kimi-k3", ("medium",), {"reasoning_effort": "high"}, ()),
        ("moonshot", "kimi-k3", ("none",), {}, ("reasoning_effort",)),
        ("zai", "glm-4.7", ("high",), {**ON, "reasoning_effort": "high"}, ()),
        ("zai", "glm-4.7", ("none",), OFF, ()),
        ("zai", "glm-5.3", ("none",), {}, ("reasoning_effort",)),
        ("databricks", "databricks-claude-x", (None, 2048),
         {"thinking": {"type": "enabled", "budget_tokens": 2048}}, ()),
        ("databricks", "databricks-claude-x", ("low",), {}, ("reasoning_effort",)),
        ("databricks", "databricks-gpt-oss-120b", ("low",), {"reasoning_effort": "low"}, ()),
        ("vllm", "m", ("xhigh", 700),
         {"reasoning_effort": "xhigh", "thinking_token_budget": 700}, ()),
        ("llamacpp", "m", ("none",), {"reasoning_effort": "none"}, ()),
        ("nvidia", "m", ("low", 5), {"reasoning_effort": "low"}, ("reasoning_budget",)),
    ],
)  # fmt: skip
def test_how_reasoning_is_asked_for(entry, model, asked, fields, lacks):
    reasoning = ReasoningConfig(*asked)
    assert sent(entry, model=model, reasoning=reasoning) == fields
    assert noted(entry, model=model, reasoning=reasoning) == set(lacks)


@pytest.mark.row("REAS-02")
@pytest.mark.parametrize(
    ("entry", "model", "fields"),
    [
        ("groq", "openai/gpt-oss-20b", {"include_reasoning": False}),
        ("groq", "qwen/qwen3-32b", {"reasoning_format": "hidden"}),
        ("cerebras", "gpt-oss-120b", {"reasoning_format": "hidden"}),
        ("openrouter", "m", {"reasoning": {"exclude": True}}),
        ("vllm", "m", {"include_reasoning": False}),
        ("deepseek", "deepseek-flash", {}),
    ],
)
def test_reasoning_may_be_kept_out_of_answers(entry, model, fields):
    assert sent(entry, model=model, reasoning=ReasoningConfig(include=False)) == fields
    both = sent(entry, model=model, reasoning=ReasoningConfig("low", include=False))
    assert fields.items() <= {**both, "reasoning": fields.get("reasoning")}.items() or (
        both["reasoning"] == {"effort": "low", "exclude": True}
    )


@pytest.mark.row("OPTI-12", "PROV-03")
@rows
def test_provider_options_go_over_the_body_of_this_provider_only(entry):
    options = {entry: {"enable_thinking": True, "temperature": 0.1}, "other": {"x": 1}}
    body = sent(entry, provider_options=options, temperature=0.9)
    assert body == {"enable_thinking": True, "temperature": 0.1}


# --- messages ------------------------------------------------------------------------------------


@pytest.mark.row("PROV-18", "PROV-02")
@rows
def test_system_messages(entry):
    said = (SystemMessage("a"), HumanMessage("b"), SystemMessage("c"))
    roles = [(m["role"], m["content"]) for m in body_of(entry, *said)["messages"]]
    if entry in ("perplexity", "vllm", "llamacpp"):
        assert roles == [("system", "a\n\nc"), ("user", "b")]
    else:
        assert roles == [("system", "a"), ("user", "b"), ("system", "c")]


@pytest.mark.row("SCHE-28")
@rows
def test_names_of_participants(entry):
    named = body_of(entry, HumanMessage("hi", name="ann"))["messages"][0]
    assert ("name" in named) == (entry not in ("groq", "perplexity", "zai"))


@pytest.mark.row("PROV-17", "SCHE-15", "OPTI-27")
@rows
def test_parts(entry):
    image = ImagePart(data=b"\x89PNG")
    items = body_of(entry, HumanMessage(["look", image]))["messages"][0]["content"]
    assert [item["type"] for item in items] == ["text", "image_url"]
    assert items[1]["image_url"]["url"].startswith("data:image/png;base64,")
    sound = AudioPart(data=b"RIFF", format="wav")
    assert noted(entry, HumanMessage(["hear", sound])) == set()
    file = FilePart(data=b"%PDF", name="a.pdf")
    no_files = entry in ("qwen", "vllm", "llamacpp")
    assert noted(entry, HumanMessage(["read", file])) == ({"file"} if no_files else set())
    by_url = HumanMessage(["read", FilePart(url="https://files.example/a.pdf")])
    assert noted(entry, by_url) == (set() if entry == "openrouter" else {"file"})


@pytest.mark.row("SCHE-15")
def test_an_image_for_a_model_that_takes_none():
    said = HumanMessage(["look", ImagePart(url="https://images.example/a.png")])
    assert noted("deepseek", said, model="deepseek-v4-pro") == {"image"}
    assert noted("deepseek", said, model="deepseek-flash") == set()


def test_texts_are_one_text_where_lists_are_dropped():
    result = ToolMessage(["a", "b"], tool_call_id="c1")
    call = AIMessage(["x", "y"], tool_calls=[ToolCall("c1", "weather", "{}")])
    messages = body_of("zai", "hi", call, result)["messages"]
    assert [message["content"] for message in messages] == ["hi", "xy", "ab"]


def test_hints_for_the_cache():
    part = TextPart("long", metadata={"cache_control": {"type": "ephemeral"}})
    item = {"type": "text", "text": "long", "cache_control": {"type": "ephemeral"}}
    assert body_of("openrouter", HumanMessage([part]))["messages"][0]["content"] == [item]
    assert body_of("groq", HumanMessage([part]))["messages"][0]["content"] == "long"
