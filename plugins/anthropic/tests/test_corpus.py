"""Recorded answers of Anthropic, of Claude on Google Cloud, and of Claude on Amazon Bedrock."""

from __future__ import annotations

import base64
import json
from functools import cache

import pytest
from support.corpus import (
    check_expect,
    corpus_cases,
    decode_bytes,
    decode_case,
    random_cuts,
    requires_corpus,
)

from beluga_llm import (
    AIMessage,
    ChatRequest,
    GenerateOptions,
    HumanMessage,
    StreamInterruptedError,
    from_dict,
    replace,
    to_dict,
)
from beluga_llm.plugin import AwsEventStream
from beluga_llm_anthropic import (
    AnthropicDialect,
    BedrockAnthropicDialect,
    VertexAnthropicDialect,
)

SMALL = 16_384
CASES = [
    *corpus_cases("messages", "anthropic", "vertex_anthropic"),
    *corpus_cases("invoke_model", "bedrock"),
]
STREAMS = [
    *corpus_cases("messages", "anthropic", "vertex_anthropic", stream=True),
    *corpus_cases("invoke_model", "bedrock", stream=True),
]


def dialect(case=None):
    settings = {"new_id": lambda: "call_1"}
    if case is not None and case.provider == "bedrock":
        return BedrockAnthropicDialect(**settings)
    if case is not None and case.provider == "vertex_anthropic":
        return VertexAnthropicDialect(project="p", **settings)
    return AnthropicDialect(**settings)


def bare(message):
    """An answer but for what may arrive last."""
    return replace(message, usage=None, provider_metadata={})


@pytest.mark.row("PROV-05", "PROV-16", "PROV-20", "PROV-34", "PROV-35")
@pytest.mark.parametrize("case", CASES)
def test_recorded_answers(case):
    whole = decode_case(dialect(case), case)
    check_expect(whole, case)
    for cut in random_cuts(case.body, 40):
        again = decode_case(dialect(case), case, cuts=[cut])
        assert again == whole or (str(again) == str(whole) and again.partial == whole.partial)


@pytest.mark.row("PAIN-02", "STRE-31")
@pytest.mark.parametrize("case", STREAMS)
def test_a_recorded_stream_cut_anywhere_is_complete_or_interrupted(case):
    whole = decode_case(dialect(case), case)
    body = case.body
    if len(body) <= SMALL:
        places = range(len(body))
    else:
        near = {b + d for b in borders(case) for d in range(-2, 3)}
        places = sorted({p for p in near if 0 <= p < len(body)} | set(random_cuts(body, 500)))
    for place in places:
        got = decode_bytes(dialect(case), body[:place], model=case.model, headers=case.headers)
        if isinstance(got, AIMessage):
            assert bare(got) == bare(whole)
        else:
            assert type(got) is StreamInterruptedError
            assert whole.text.startswith(got.partial.text)
            assert whole.thinking.startswith(got.partial.thinking)


def borders(case):
    """Where the frames of a stream end."""
    body = case.body
    if case.provider != "bedrock":
        return [i for i in range(len(body)) if body.startswith(b"\n\n", i)]
    found = [0]
    while found[-1] < len(body):
        found.append(found[-1] + int.from_bytes(body[found[-1] :][:4], "big"))
    return found


@pytest.mark.row("REAS-14", "PAIN-11", "PROV-35")
@pytest.mark.parametrize("case", CASES)
def test_a_recorded_answer_goes_back_byte_for_byte(case):
    message = decode_case(dialect(case), case)
    if not isinstance(message, AIMessage):
        pytest.skip("an error has nothing to send back")
    stored = from_dict(json.loads(json.dumps(to_dict(message))))
    assert stored == message
    request = ChatRequest((HumanMessage("hi"), stored), GenerateOptions(model="claude-opus-5"))
    encoded = dialect(case).encode(request)
    assert sent(encoded.json["messages"]) == received(case)
    for cloud in every_dialect():  # which take each other's signatures
        encoded = cloud.encode(request)
        assert uncited(sent(encoded.json["messages"])) == uncited(received(case))
        assert "signature" not in [note.kind for note in encoded.notes]


def uncited(found):
    return [{key: value for key, value in b.items() if key != "citations"} for b in found]


@cache
def every_dialect():
    return (AnthropicDialect(), VertexAnthropicDialect(project="p"), BedrockAnthropicDialect())


def received(case):
    """The blocks of an answer on the wire, as far as they can be sent back."""
    body = unwrapped(case.body) if case.stream and case.provider == "bedrock" else case.body
    body = body.decode()
    content = streamed(body) if case.stream else json.loads(body)["content"]
    found = [plain(block) for block in content if block != {"type": "text", "text": ""}]
    if found and found[-1]["type"] == "text":
        found[-1]["text"] = found[-1]["text"].rstrip()
    return found


def unwrapped(body):
    """The events inside of Bedrock's, as lines."""
    chunks = [json.loads(data)["bytes"] for _, data in AwsEventStream().feed(body)]
    return b"\n".join(b"data: " + base64.b64decode(chunk) for chunk in chunks)


def sent(turns):
    return [plain(block) for block in (turns[1]["content"] if turns[1:] else [])]


def plain(block):
    uncited = block["type"] == "text" and not block.get("citations")
    dropped = {"text": ("citations",) if uncited else (), "tool_use": ("caller",)}
    return {k: v for k, v in block.items() if k not in dropped.get(block["type"], ())}


def streamed(text):
    """The blocks of a stream, put together by the shortest reader that does."""
    blocks = {}
    inputs = {}
    for line in text.splitlines():
        event = json.loads(line[5:]) if line.startswith("data:") else {}
        if event.get("type") == "content_block_start":
            blocks[event["index"]] = event["content_block"]
        elif event.get("type") == "content_block_delta":
            delta = event["delta"]
            block = blocks[event["index"]]
            for key in ("text", "thinking", "signature"):
                block[key] = block.get(key, "") + delta[key] if key in delta else block.get(key)
            if "citation" in delta:
                block["citations"] = [*(block.get("citations") or ()), delta["citation"]]
            inputs[event["index"]] = inputs.get(event["index"], "") + delta.get("partial_json", "")
    for index, arguments in inputs.items():
        if arguments:
            blocks[index]["input"] = json.loads(arguments)
    return [
        {key: value for key, value in blocks[index].items() if value is not None}
        for index in sorted(blocks)
    ]


@requires_corpus
def test_there_are_recorded_cases():
    assert len(CASES) >= 30
