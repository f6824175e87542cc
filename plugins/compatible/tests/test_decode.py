"""Answers with the vendors' oddities, written by hand after their documentation.

Each stream is cut at every byte: where it is cut changes nothing, and what is left of it is never
taken for a whole answer.
"""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.compatible import dialect_of, entries, sse
from support.corpus import decode_bytes
from support.strategies import json_values

from beluga_llm import AIMessage, BelugaError, FinishReason, StreamInterruptedError, Usage, replace


def chunk(delta=None, *, finish=None, **more):
    choice = {"index": 0, "delta": delta or {}}
    if finish is not None:
        choice["finish_reason"] = finish
    return {"model": "m-1", "choices": [choice], **more}


def usage(prompt, completion, **more):
    total = {"prompt_tokens": prompt, "completion_tokens": completion}
    return {**total, "total_tokens": prompt + completion, **more}


def call(index=0, id=None, name=None, arguments=None):
    function = {"name": name, "arguments": arguments}
    found = {
        "index": index,
        "id": id,
        "function": {k: v for k, v in function.items() if v is not None},
    }
    return {"tool_calls": [{key: value for key, value in found.items() if value is not None}]}


def crlf(body):
    return body.replace(b"\n", b"\r\n")


SEARCH = {
    "citations": ["https://a.example"],
    "search_results": [{"title": "A", "url": "https://a.example"}],
}
PERPLEXITY = [
    chunk({"role": "assistant", "content": "Par"}, usage=usage(9, 1), **SEARCH),
    chunk({"content": "is[1]"}, usage=usage(9, 4), **SEARCH),
]
PERPLEXITY[-1]["choices"][0].update(
    finish_reason="stop", message={"role": "assistant", "content": "Paris[1]"}
)

# entry, stream, what the message must be
STREAMS = {
    # CRLF, usage cumulative in every frame, the last repeats the message, no [DONE]
    "perplexity": (
        crlf(sse(*PERPLEXITY, end=b"")),
        {"text": "Paris[1]", "usage": Usage(9, 4, 13), "finish_reason": "stop"},
    ),
    # comments, the finish reason twice, usage with a cost
    "openrouter": (
        sse(": OPENROUTER PROCESSING", chunk({"role": "assistant", "content": ""}),
            ": OPENROUTER PROCESSING", chunk({"content": "Hi"}),
            chunk({"content": ""}, finish="stop", native_finish_reason="end_turn"),
            chunk({"content": ""}, finish="stop", usage=usage(5, 2, cost=0.01))),
        {"text": "Hi", "usage": Usage(5, 2, 7), "finish_reason": "stop"},
    ),
    # usage under x_groq, on the last frame
    "groq": (
        sse(chunk({"role": "assistant", "content": ""}, x_groq={"id": "req_1"}),
            chunk({"reasoning": "hm", "channel": "analysis"}), chunk({"content": "Hi"}),
            chunk(finish="stop", x_groq={"id": "req_1", "usage": usage(5, 2, queue_time=0.1)})),
        {"text": "Hi", "thinking": "hm", "usage": Usage(5, 2, 7), "finish_reason": "stop"},
    ),
    # "eos"
    "together": (
        sse(chunk({"role": "assistant", "content": "Hi"}),
            chunk(finish="eos", usage=usage(5, 2, cached_tokens=1))),
        {"text": "Hi", "usage": Usage(5, 2, 7, 1), "finish_reason": "stop"},
    ),
    # no [DONE] from some backends; a frame of usage without choices
    "huggingface": (
        sse(chunk({"content": "Hi"}), chunk(finish="stop"),
            {**chunk(), "choices": [], "usage": usage(5, 2)}, end=b""),
        {"text": "Hi", "usage": Usage(5, 2, 7), "finish_reason": "stop"},
    ),
    # a second call under index 0; usage and time in several frames
    "cerebras": (
        sse(chunk({"role": "assistant"}),
            chunk(call(0, "a1", "add", '{"x": 1}')), chunk(call(0, "a2", "add", '{"x": 2}')),
            chunk(finish="tool_calls", usage=usage(5, 2), time_info={"total_time": 0.1})),
        {"calls": [("a1", "add", '{"x": 1}'), ("a2", "add", '{"x": 2}')],
         "usage": Usage(5, 2, 7), "finish_reason": "tool_calls"},
    ),
    # reasoning tokens are counted beside the output; the whole call in one frame; a long id
    "xai": (
        sse(chunk({"role": "assistant", "reasoning_content": "hm"}),
            chunk(call(0, "call_" + 38 * "7", "f", "{}")), chunk(finish="stop"),
            {**chunk(), "choices": [], "usage": usage(10, 3, total_tokens=33,
             completion_tokens_details={"reasoning_tokens": 20})}),
        {"thinking": "hm", "calls": [("call_" + 38 * "7", "f", "{}")],
         "usage": Usage(10, 23, 33, reasoning_tokens=20), "finish_reason": "tool_calls"},
    ),
    # hits of the cache, reasoning first, then content; keep-alive comments
    "deepseek": (
        sse(": keep-alive", chunk({"role": "assistant", "content": None, "reasoning_content": "h"}),
            chunk({"content": None, "reasoning_content": "m"}), chunk({"content": "Hi"}),
            chunk({"content": ""}, finish="stop", usage=usage(
                20, 5, prompt_cache_hit_tokens=16, prompt_cache_miss_tokens=4,
                completion_tokens_details={"reasoning_tokens": 3}))),
        {"text": "Hi", "thinking": "hm", "finish_reason": "stop",
         "usage": Usage(20, 5, 25, 16, reasoning_tokens=3)},
    ),
    # ids that look like code; cached tokens on the top level
    "moonshot": (
        sse(chunk({"role": "assistant", "reasoning_content": "hm"}),
            chunk(call(0, "functions.add:0", "add", "")), chunk(call(0, arguments='{"x":')),
            chunk(call(0, arguments=" 1}")),
            chunk(call(1, "functions.add:1", "add", '{"x": 2}')),
            chunk(finish="tool_calls", usage=usage(8, 4, cached_tokens=6))),
        {"thinking": "hm", "usage": Usage(8, 4, 12, 6), "finish_reason": "tool_calls",
         "calls": [("functions.add:0", "add", '{"x": 1}'), ("functions.add:1", "add", '{"x": 2}')]},
    ),
    "zai": (
        sse(chunk({"role": "assistant", "reasoning_content": "hm"}), chunk({"content": "Hi"}),
            chunk({"content": ""}, finish="stop", usage=usage(8, 4, prompt_tokens_details={
                "cached_tokens": 2}))),
        {"text": "Hi", "thinking": "hm", "usage": Usage(8, 4, 12, 2), "finish_reason": "stop"},
    ),
    # enable_thinking: reasoning, then content, then a frame of usage without choices
    "qwen": (
        sse(chunk({"content": None, "reasoning_content": "hm"}),
            chunk({"content": "Hi", "reasoning_content": None}),
            chunk({"content": ""}, finish="stop"),
            {**chunk(), "choices": [], "usage": usage(8, 4)}),
        {"text": "Hi", "thinking": "hm", "usage": Usage(8, 4, 12), "finish_reason": "stop"},
    ),
    # usage in every frame, partly null
    "databricks": (
        sse(chunk({"role": "assistant", "content": "H"}, usage={
                "prompt_tokens": 9, "completion_tokens": None, "total_tokens": None}),
            chunk({"content": "i"}, usage={
                "prompt_tokens": 9, "completion_tokens": None, "total_tokens": None}),
            chunk({"content": ""}, finish="stop", usage=usage(9, 2))),
        {"text": "Hi", "usage": Usage(9, 2, 11), "finish_reason": "stop"},
    ),
    # reasoning only in its details, placeholders, and no finish reason but [DONE]
    "snowflake": (
        sse(chunk({"reasoning_details": [{"type": "reasoning.text", "text": "h", "index": 0}]}),
            chunk({"reasoning_details": [{"type": "reasoning.text", "text": "m", "index": 0}]}),
            chunk({"content": "Hi", "function_call": {"name": "", "arguments": ""}}, finish=""),
            {**chunk(), "choices": [], "usage": usage(8, 4)}),
        {"text": "Hi", "thinking": "hm", "usage": Usage(8, 4, 12), "finish_reason": "stop"},
    ),
    # content as an object, in an answer that is JSON
    "cloudflare": (
        sse(chunk({"role": "assistant", "content": "Hi"}), chunk(finish="stop", usage=usage(3, 1))),
        {"text": "Hi", "usage": Usage(3, 1, 4), "finish_reason": "stop"},
    ),
    "vercel": (
        sse(chunk({"role": "assistant"}),
            chunk({"reasoning": "hm", "reasoning_details": [
                {"type": "reasoning.text", "text": "hm", "format": "x", "index": 0}]}),
            chunk({"reasoning_details": [
                {"type": "reasoning.text", "signature": "c2ln", "format": "x", "index": 0}]}),
            chunk({"content": "Hi"}), chunk(finish="stop", usage=usage(8, 4))),
        {"text": "Hi", "thinking": "hm", "usage": Usage(8, 4, 12), "finish_reason": "stop"},
    ),
    # `reasoning` since v0.12, `reasoning_content` before; stop_reason beside
    "vllm": (
        sse(chunk({"role": "assistant", "content": ""}), chunk({"reasoning": "h"}),
            chunk({"reasoning_content": "m"}), chunk({"content": "Hi"}),
            chunk({"content": ""}, finish="stop"),
            {**chunk(), "choices": [], "usage": usage(8, 4)}),
        {"text": "Hi", "thinking": "hm", "usage": Usage(8, 4, 12), "finish_reason": "stop"},
    ),
    "lmstudio": (
        sse(chunk(call(0, "5", "f", "")), chunk(call(0, arguments="{}")),
            chunk(finish="tool_calls")),
        {"calls": [("5", "f", "{}")], "finish_reason": "tool_calls"},
    ),
    "llamacpp": (
        sse(chunk({"role": "assistant", "content": None}), chunk({"reasoning_content": "hm"}),
            chunk({"content": "Hi"}), chunk(finish="stop"),
            {**chunk(), "choices": [], "usage": usage(8, 4), "timings": {"predicted_n": 4}}),
        {"text": "Hi", "thinking": "hm", "usage": Usage(8, 4, 12), "finish_reason": "stop"},
    ),
    "litellm": (
        sse(chunk({"content": "Hi", "role": "assistant"}, citations=None),
            chunk(finish="stop"), {**chunk(), "usage": usage(8, 4)}),
        {"text": "Hi", "usage": Usage(8, 4, 12), "finish_reason": "stop"},
    ),
}  # fmt: skip
streams = pytest.mark.parametrize("entry", STREAMS)
METADATA = {
    "perplexity": SEARCH,
    "openrouter": {"usage": usage(5, 2, cost=0.01), "native_finish_reason": "end_turn"},
    "cerebras": {"time_info": {"total_time": 0.1}},
    "llamacpp": {"timings": {"predicted_n": 4}},
}


def fixed_ids(entry):
    dialect, numbers = dialect_of(entry), itertools.count(1)
    dialect.new_id = lambda: f"call_{next(numbers)}"
    return dialect


def read(entry, body, **more):
    got = decode_bytes(fixed_ids(entry), body, **more)
    assert isinstance(got, AIMessage), repr(got)
    return got


@pytest.mark.row("PROV-34", "PROV-16", "PROV-20", "STRE-12", "REAS-12", "PAIN-09", "TOOL-16")
@streams
def test_a_stream_is_read(entry):
    body, wanted = STREAMS[entry]
    got = read(entry, body)
    assert got.text == wanted.get("text", "")
    assert got.thinking == wanted.get("thinking", "")
    assert got.usage == wanted.get("usage", Usage())
    assert got.finish_reason == wanted["finish_reason"]
    calls = [(call.id, call.name, call.arguments) for call in got.tool_calls]
    assert calls == wanted.get("calls", [])
    assert got.model_id == "m-1"
    assert METADATA.get(entry, {}).items() <= dict(got.provider_metadata).items()


@pytest.mark.row("PAIN-10", "STRE-20")
@streams
def test_where_a_stream_is_cut_changes_nothing(entry):
    body = STREAMS[entry][0]
    whole = read(entry, body)
    for cut in range(1, len(body)):
        assert read(entry, body, cuts=[cut]) == whole, cut


@pytest.mark.row("PAIN-02", "STRE-09", "STRE-31")
@streams
def test_a_part_of_a_stream_is_no_answer(entry):
    body = STREAMS[entry][0]
    whole = read(entry, body)
    late = {"usage": whole.usage, "provider_metadata": whole.provider_metadata}
    interrupted = 0
    for end in range(len(body)):
        got = decode_bytes(fixed_ids(entry), body[:end])
        if isinstance(got, AIMessage):
            late["raw_finish_reason"] = whole.raw_finish_reason
            assert replace(got, **late) == whole, end
            continue
        interrupted += 1
        assert type(got) is StreamInterruptedError or isinstance(got, BelugaError)
        assert whole.text.startswith(got.partial.text)
        assert whole.thinking.startswith(got.partial.thinking)
    assert interrupted > len(body) // 3


def as_whole(body):
    """The whole body that says the same as a stream."""
    events = [
        json.loads(line[5:])
        for line in body.replace(b"\r", b"").split(b"\n")
        if line.startswith(b"data: {")
    ]
    message, finish, counts = {"role": "assistant"}, None, {}
    for event in events:
        counts.update(event.get("usage") or event.get("x_groq", {}).get("usage") or {})
        for choice in event["choices"]:
            finish = choice.get("finish_reason") or finish
            for key, value in choice["delta"].items():
                if isinstance(value, str):
                    message[key] = (message.get(key) or "") + value if key != "role" else value
                elif key == "tool_calls":
                    message.setdefault(key, []).extend(value)
    return {"model": "m-1", "usage": counts,
            "choices": [{"index": 0, "message": message, "finish_reason": finish}]}  # fmt: skip


@pytest.mark.row("DIAL-05", "PROV-34", "PAIN-09")
@pytest.mark.parametrize(
    "entry", sorted(STREAMS.keys() - {"snowflake", "vercel", "vllm", "moonshot"})
)
def test_a_whole_answer_is_read_alike(entry):
    body = STREAMS[entry][0]
    streamed = read(entry, body)
    whole = read(entry, json.dumps(as_whole(body)).encode(), stream=False)
    assert [call.arguments for call in whole.tool_calls][:1] == [
        call.arguments for call in streamed.tool_calls
    ][:1]
    for name in ("text", "thinking", "usage", "finish_reason", "model_id", "response_id"):
        assert getattr(whole, name) == getattr(streamed, name)


# --- whole answers -------------------------------------------------------------------------------


def whole_body(message, finish="stop", **more):
    return json.dumps(
        {
            "model": "m-1",
            "choices": [{"index": 0, "message": message, "finish_reason": finish}],
            **more,
        }
    ).encode()


@pytest.mark.row("PROV-34", "DIAL-07")
@pytest.mark.parametrize(
    ("entry", "message", "finish", "text", "reason"),
    [
        ("cloudflare", {"content": {"city": "Paris"}}, "stop", '{"city":"Paris"}', "stop"),
        (
            "snowflake",
            {"content": "Hi", "refusal": "", "tool_calls": None,
             "audio": {"data": "", "expires_at": 0, "id": ""},
             "function_call": {"name": "", "arguments": ""}},
            "", "Hi", "stop",
        ),
        ("snowflake", {"content": "Hi"}, None, "Hi", "stop"),
        ("groq", {"content": "Hi"}, "length", "Hi", "length"),
        ("together", {"content": "Hi"}, "eos", "Hi", "stop"),
        ("xai", {"content": None, "refusal": None}, "stop", "", "stop"),
        ("openrouter", {"content": "Hi"}, "content_filter", "Hi", "content_filter"),
        ("openrouter", {"content": "Hi"}, "error", "Hi", "error"),
        ("zai", {"content": "Hi"}, "sensitive", "Hi", "content_filter"),
        ("zai", {"content": "Hi"}, "network_error", "Hi", "error"),
        ("deepseek", {"content": "Hi"}, "insufficient_system_resource", "Hi", "error"),
    ],
)  # fmt: skip
def test_whole_answers(entry, message, finish, text, reason):
    got = read(entry, whole_body(message, finish), stream=False)
    assert got.text == text
    assert got.finish_reason == FinishReason(reason)
    assert got.raw_finish_reason == (finish or None)
    assert got.tool_calls == ()


@pytest.mark.row("SCHE-16", "PROV-34")
@pytest.mark.parametrize("arguments", ["", None, "null", "{}"])
def test_arguments_of_nothing(arguments):
    function = {"name": "f", "arguments": arguments}
    message = {"tool_calls": [{"id": "c", "type": "function", "function": function}]}
    got = read("openrouter", whole_body(message, "tool_calls"), stream=False)
    assert [(call.id, call.args) for call in got.tool_calls] == [("c", {})]


@pytest.mark.row("REAS-16")
async def test_inline_think_tags_stay_or_become_reasoning(make, wire):
    wire.whole = json.loads(whole_body({"content": "<think>hm</think>Hi"}))
    assert (await make("sambanova").generate("hi")).text == "<think>hm</think>Hi"
    reply = await make("sambanova", parse_think_tags=True).generate("hi")
    assert (reply.text, reply.thinking) == ("Hi", "hm")


@pytest.mark.row("DIAL-07")
@settings(max_examples=100, deadline=None)
@given(entry=st.sampled_from(entries()), value=json_values, stream=st.booleans())
def test_any_json_is_an_answer_or_an_error(entry, value, stream):
    dialect = dialect_of(entry)
    for body in (value, {"choices": [{"delta": value, "message": value}]}, {"error": value}):
        data = json.dumps(body).encode()
        data = b"data: " + data + b"\n\n" if stream else data
        assert isinstance(decode_bytes(dialect, data, stream=stream), AIMessage | BelugaError)
