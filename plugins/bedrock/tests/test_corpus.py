"""Recorded answers and requests of Converse, and of the endpoint for OpenAI's formats."""

from __future__ import annotations

import json
from urllib.parse import unquote, urlsplit

import pytest
from support.corpus import (
    check_expect,
    corpus_cases,
    decode_bytes,
    decode_case,
    random_cuts,
    requires_corpus,
)
from support.neutral import neutral_request

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
from beluga_llm_bedrock import BedrockChatModel, ConverseDialect

SMALL = 16_000
CASES = corpus_cases("converse", "bedrock")
STREAMS = corpus_cases("converse", "bedrock", stream=True)


def dialect():
    return ConverseDialect(new_id=lambda: "call_1")


def bare(message):
    """An answer but for what may arrive last."""
    return replace(message, usage=None, provider_metadata={})


def cut_places(body):
    """Every byte of a small body; of a large one those around its borders, and random ones."""
    if len(body) <= SMALL:
        return range(len(body))
    borders, at = [], 0
    while at < len(body):
        at += int.from_bytes(body[at : at + 4], "big")
        borders.append(at)
    near = {b + d for b in borders for d in range(-2, 3)}
    return sorted({p for p in near if 0 <= p < len(body)} | set(random_cuts(body, 500)))


@pytest.mark.row("PROV-07", "PROV-16", "PROV-20", "PROV-34", "PAIN-09", "PAIN-10")
@pytest.mark.parametrize("case", CASES)
def test_recorded_answers(case):
    whole = decode_case(dialect(), case)
    check_expect(whole, case)
    for cut in random_cuts(case.body, 40):
        again = decode_case(dialect(), case, cuts=[cut])
        assert again == whole or (str(again) == str(whole) and again.partial == whole.partial)


@pytest.mark.row("PAIN-02", "STRE-31")
@pytest.mark.parametrize("case", STREAMS)
def test_a_recorded_stream_cut_anywhere_is_complete_or_interrupted(case):
    if case.status != 200:
        pytest.skip("an error has no stream")
    whole = decode_case(dialect(), case)
    for place in cut_places(case.body):
        got = decode_bytes(dialect(), case.body[:place], headers=case.headers)
        if isinstance(got, AIMessage):
            assert bare(got) == bare(whole)
            assert got.provider_metadata["cut_after_finish"]
        else:
            assert type(got) is StreamInterruptedError
            assert whole.text.startswith(got.partial.text)
            assert whole.thinking.startswith(got.partial.thinking)


@pytest.mark.row("PROV-07")
@pytest.mark.parametrize(
    "case",
    [
        *corpus_cases("chat_completions", "bedrock"),
        *corpus_cases("responses", "bedrock"),
    ],
)
def test_recorded_answers_in_openais_formats(case):
    api = {"chat_completions": "chat"}.get(case.api, case.api)
    model = BedrockChatModel(model=case.model, api_key="k", api=api)
    check_expect(decode_case(model.dialect, case), case)


# --- what goes back ---------------------------------------------------------------------------


@pytest.mark.row("REAS-14", "PAIN-11")
@pytest.mark.parametrize("case", CASES)
def test_a_recorded_answer_goes_back_byte_for_byte(case):
    message = decode_case(dialect(), case)
    if not isinstance(message, AIMessage):
        pytest.skip("an error has nothing to send back")
    stored = from_dict(json.loads(json.dumps(to_dict(message))))
    assert stored == message
    after = (HumanMessage("hi"), stored, HumanMessage("go on"))
    request = ChatRequest(after, GenerateOptions(model="m"))
    encoded = json.loads(json.dumps(dialect().encode(request).json["messages"]))
    sent = encoded[1]["content"] if len(encoded) == 3 else []
    assert sent == [block for block in received(case) if is_sent(block)]


def is_sent(block):
    if "reasoningContent" in block:
        said = block["reasoningContent"]
        return "redactedContent" in said or "signature" in said.get("reasoningText", {})
    return bool(block.get("text", "x").strip())


def received(case):
    """The blocks of an answer on the wire, as they are sent back."""
    blocks = streamed(case.body) if case.stream else whole_blocks(case.body)
    for block in blocks:
        if (use := block.get("toolUse")) and use.get("type") == "tool_use":
            del use["type"]
    return blocks


def whole_blocks(body):
    content = json.loads(body)["output"]["message"]["content"]
    return [
        {"text": "".join(part["text"] for part in block["citationsContent"]["content"])}
        if "citationsContent" in block
        else block
        for block in content
    ]


def streamed(body):
    """The blocks of a stream, put together by the shortest reader that does."""
    framing, blocks = AwsEventStream(), {}
    for kind, data in framing.feed(body):
        event = json.loads(data)
        block = blocks.setdefault(event.get("contentBlockIndex"), {})
        for name, value in event.get("start", {}).items():
            block[name] = {**value, "content": []} if name == "toolResult" else dict(value)
        for name, value in event.get("delta", {}).items():
            if name == "text":
                block["text"] = block.get("text", "") + value
            elif name == "toolUse":
                block["toolUse"]["input"] = block["toolUse"].get("input", "") + value["input"]
            elif name == "toolResult":
                block["toolResult"]["content"] += value
            elif name == "reasoningContent":
                said = block.setdefault("reasoningContent", {}).setdefault("reasoningText", {})
                for key, piece in value.items():
                    said[key] = said.get(key, "") + piece
        if kind == "contentBlockStop" and "toolUse" in block:
            block["toolUse"]["input"] = json.loads(block["toolUse"].get("input") or "{}")
    return [blocks[index] for index in sorted(filter(lambda i: i is not None, blocks))]


# --- recorded requests ------------------------------------------------------------------------


@pytest.mark.row("PROV-07", "PROV-18", "PROV-19", "CACH-18", "TOOL-22", "REAS-14")
@pytest.mark.parametrize("case", CASES)
def test_recorded_requests_are_made_alike(case):
    if not case.neutral.get("complete"):
        pytest.skip("the recorded request has fields that are not neutral")
    path = urlsplit(case.data["request"]["url"]).path
    model = unquote(path.split("/")[2])
    request = neutral_request(case)
    options = replace(request.options, model=model)
    encoded = dialect().encode(replace(request, options=options))
    assert unquote(encoded.path) == unquote(path)
    made = json.loads(json.dumps(encoded.json))
    assert normal(made) == normal(case.request_body)


def normal(body):
    """A request without what says nothing, and with schemas as objects."""
    found = {key: value for key, value in body.items() if value not in (None, [], {})}
    inference = found.pop("inferenceConfig", {})
    if inference := {key: value for key, value in inference.items() if value != []}:
        found["inferenceConfig"] = inference
    for turn in found["messages"]:
        for block in turn["content"]:
            for inner in block.get("toolResult", {}).get("content", ()):
                if "json" in inner:  # a value that is a text with us
                    inner["text"] = json.dumps(inner.pop("json"), separators=(",", ":"))
    if "outputConfig" in found:
        schema = found["outputConfig"]["textFormat"]["structure"]["jsonSchema"]
        schema["schema"] = json.loads(schema["schema"])
        schema.pop("description", None)  # not in the neutral form
    for tool in found.get("toolConfig", {}).get("tools", ()):
        tool["toolSpec"]["inputSchema"]["json"].setdefault("properties", {})
    return found


@requires_corpus
def test_there_are_recorded_cases():
    assert len(CASES) >= 14
