"""What an answer says besides: usage, media, log-probabilities, candidates, metadata."""

from __future__ import annotations

import base64

import pytest
from support.gemini import frame

from beluga_llm import (
    AudioPart,
    ChatRequest,
    FilePart,
    FinishReason,
    GenerateOptions,
    HumanMessage,
    ImagePart,
    StreamInterruptedError,
    TextPart,
    Usage,
    VideoPart,
    fold,
    replay,
)


def text(value, **fields):
    return {"text": value, **fields}


def inline(mime_type, data=b"\1\2", **fields):
    blob = {"mimeType": mime_type, "data": base64.b64encode(data).decode()}
    return {"inlineData": blob, **fields}


# --- usage ------------------------------------------------------------------------------------


@pytest.mark.row("PROV-16", "SCHE-19", "PAIN-09", "STRE-13")
@pytest.mark.parametrize(
    ("report", "usage"),
    [
        ({}, Usage()),
        ({"promptTokenCount": 3, "totalTokenCount": 9, "thoughtsTokenCount": 6},
         Usage(3, 6, 9, reasoning_tokens=6)),
        ({"promptTokenCount": 3, "candidatesTokenCount": 4, "totalTokenCount": 7},
         Usage(3, 4, 7)),
        ({"promptTokenCount": 3, "totalTokenCount": 3}, Usage(3, 0, 3)),
        ({"promptTokenCount": 30, "candidatesTokenCount": 4, "totalTokenCount": 34,
          "cachedContentTokenCount": 20}, Usage(30, 4, 34, cached_tokens=20)),
        ({"promptTokenCount": 258, "candidatesTokenCount": 44, "thoughtsTokenCount": 250,
          "toolUsePromptTokenCount": 1479, "totalTokenCount": 2031},
         Usage(1737, 294, 2031, reasoning_tokens=250)),
        ({"promptTokenCount": 9, "candidatesTokenCount": 8, "totalTokenCount": 17,
          "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 2},
                                  {"modality": "AUDIO", "tokenCount": 7}],
          "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 8}]},
         Usage(9, 8, 17, audio_input_tokens=7, audio_output_tokens=8)),
        ({"promptTokenCount": 9, "candidatesTokenCount": 8, "totalTokenCount": 99},
         Usage(9, 8, 99)),
        ({"promptTokenCount": "9", "candidatesTokenCount": None, "thoughtsTokenCount": 1.5,
          "totalTokenCount": True, "promptTokensDetails": [3, {"modality": "AUDIO"}]}, Usage()),
    ],
)  # fmt: skip
def test_usage_in_the_normal_form(read, report, usage):
    for stream in (True, False):
        assert read(frame(text("a"), finish="STOP", usageMetadata=report), stream=stream).usage == (
            usage
        )


@pytest.mark.row("STRE-13", "PROV-16", "PAIN-09")
def test_counts_of_a_stream_grow_and_are_not_lost(read):
    first = {"promptTokenCount": 11, "totalTokenCount": 11}
    cut = read(frame(text("a"), usageMetadata=first))
    assert type(cut) is StreamInterruptedError
    assert cut.partial.usage == Usage(11, None, 11)
    later = {"candidatesTokenCount": 2, "totalTokenCount": 304, "thoughtsTokenCount": 291}
    got = read(
        frame(text("a"), usageMetadata=first),
        frame(text("b"), usageMetadata={**first, **later}),
        frame(finish="STOP"),
    )
    assert got.usage == Usage(11, 293, 304, reasoning_tokens=291)


# --- media ------------------------------------------------------------------------------------


@pytest.mark.row("PROV-06", "SCHE-10")
@pytest.mark.parametrize(
    ("mime_type", "part"),
    [
        ("image/png", ImagePart(b"\1\2", mime_type="image/png")),
        ("Image/JPEG", ImagePart(b"\1\2", mime_type="Image/JPEG")),
        ("audio/L16;codec=pcm;rate=24000", AudioPart(b"\1\2", format="pcm16", sample_rate=24000)),
        ("audio/mpeg", AudioPart(b"\1\2", format="mp3")),
        ("audio/basic", FilePart(b"\1\2", mime_type="audio/basic")),
        ("video/mp4", VideoPart(b"\1\2")),
        ("text/csv", FilePart(b"\1\2", mime_type="text/csv")),
    ],
)
def test_media_that_a_model_makes(read, mime_type, part):
    for stream in (True, False):
        got = read(frame(text("See:"), inline(mime_type), finish="STOP"), stream=stream)
        assert got.parts == (TextPart("See:"), part)
        assert fold(replay(got)) == got


@pytest.mark.row("PAIN-11", "REAS-14")
def test_a_signed_picture_goes_back_with_its_signature(read, dialect):
    picture, thought = inline("image/png", thoughtSignature="s1"), inline("image/png", thought=True)
    got = read(frame(text("a"), thought, picture, finish="STOP"), stream=False)
    assert len(got.parts) == 2
    request = ChatRequest((HumanMessage("hi"), got), GenerateOptions(model="gemini-3-pro-image"))
    sent = dialect.encode(request).json["contents"][1]["parts"]
    assert sent == [text("a"), thought, picture]


@pytest.mark.row("DIAL-07", "SCHE-24")
@pytest.mark.parametrize(
    "part",
    [
        {"executableCode": {"language": "PYTHON", "code": "1"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}, "thoughtSignature": "s"},
        {"toolCall": {"id": "t", "toolType": "GOOGLE_SEARCH_WEB"}},
        {"fileData": {"fileUri": "gs://b/a"}},
        {"inlineData": {"mimeType": "image/png", "data": "no base64!"}},
        {"inlineData": {"data": "eA=="}},
        {"somethingNew": {"a": 1}},
    ],
)
def test_parts_of_other_kinds_are_kept_and_go_back(read, dialect, part):
    first = {"functionCall": {"name": "f", "args": {}}}
    for stream in (True, False):
        got = read(frame(text("a"), part, text("b"), first, part, finish="STOP"), stream=stream)
        assert got.parts == (TextPart("a"), TextPart("b"))
        assert [kept["part_index"] for kept in got.provider_metadata["content_parts"]] == [1, 3]
        request = ChatRequest((HumanMessage("hi"), got), GenerateOptions(model="gemini-2.5-pro"))
        sent = dialect.encode(request).json["contents"][1]["parts"]
        assert sent == [text("a"), part, text("b"), first, part]


def test_kept_parts_of_a_stream_add_up(read):
    code, output = {"executableCode": {"code": "1"}}, {"codeExecutionResult": {"output": "1"}}
    got = read(frame(code), frame(output), frame(text("a"), finish="STOP"))
    kept = got.provider_metadata["content_parts"]
    assert [
        {k: v for k, v in part.items() if k not in ("part_index", "provider")} for part in kept
    ] == [
        code,
        output,
    ]


# --- candidates -------------------------------------------------------------------------------


def several(*candidates):
    return {
        "candidates": [
            {"content": {"parts": [text(said)]}, "index": index, **fields}
            for index, said, fields in candidates
        ]
    }


@pytest.mark.row("SCHE-26", "STRE-31", "PROV-06")
def test_several_candidates(read):
    done = {"finishReason": "STOP"}
    streamed = read(
        several((0, "o", {})),
        several((1, "tw", {}), (0, "ne", done)),
        several((1, "o", {"finishReason": "MAX_TOKENS", "avgLogprobs": -1})),
    )
    whole = read(
        several((0, "one", done), (1, "two", {"finishReason": "MAX_TOKENS", "avgLogprobs": -1})),
        stream=False,
    )
    assert streamed == whole
    (other,) = whole.alternatives
    assert (whole.text, other.text) == ("one", "two")
    assert other.finish_reason is FinishReason.LENGTH
    assert other.provider_metadata["avgLogprobs"] == -1
    cut = read(several((0, "one", done), (1, "tw", {})))
    assert type(cut) is StreamInterruptedError


@pytest.mark.parametrize("index", [None, -1, "x", True])
def test_a_candidate_without_a_number_has_its_place(read, index):
    done = {"finishReason": "STOP"}
    got = read(several((index, "one", done), (1, "two", done)), stream=False)
    assert (got.text, got.alternatives[0].text) == ("one", "two")


def test_calls_of_several_candidates(read):
    def part(value):
        return {"functionCall": {"name": "f", "args": {"a": value}}}

    body = {
        "candidates": [
            {"content": {"parts": [part(1)]}, "finishReason": "STOP"},
            {"content": {"parts": [text("x"), part(2)]}, "index": 1, "finishReason": "STOP"},
        ]
    }
    got = read(body, stream=False)
    assert [call.arguments for call in got.tool_calls] == ['{"a":1}']
    assert [call.arguments for call in got.alternatives[0].tool_calls] == ['{"a":2}']
    assert got.alternatives[0].finish_reason is FinishReason.TOOL_CALLS


# --- metadata ---------------------------------------------------------------------------------


@pytest.mark.row("SCHE-24")
@pytest.mark.parametrize("stream", [True, False])
def test_extras_are_kept_under_the_apis_own_names(read, stream):
    of_candidate = {
        "groundingMetadata": {"webSearchQueries": ["x"]},
        "safetyRatings": [{"category": "A", "probability": "LOW"}],
        "urlContextMetadata": {"urlMetadata": []},
        "citationMetadata": {"citationSources": [{"uri": "u"}]},
        "finishMessage": "Model generated function call(s).",
        "avgLogprobs": -0.5,
    }
    of_usage = {"promptTokensDetails": [{"modality": "TEXT", "tokenCount": 3}], "serviceTier": "x"}
    body = frame(
        text("a"),
        finish="STOP",
        usageMetadata={"promptTokenCount": 3, "totalTokenCount": 3, **of_usage},
        createTime="2026-01-01T00:00:00Z",
        modelStatus=None,
    )
    body["candidates"][0].update(of_candidate, tokenCount=None)
    metadata = {**of_candidate, **of_usage, "createTime": "2026-01-01T00:00:00Z"}
    assert read(body, stream=stream).provider_metadata == metadata


@pytest.mark.row("SCHE-24")
def test_citations_of_all_frames_are_kept(read):
    def cited(*sources, finish=None, **more):
        made = frame(text("a"), finish=finish)
        made["candidates"][0]["citationMetadata"] = {"citationSources": list(sources), **more}
        return made

    one, two = {"uri": "1"}, {"uri": "2"}
    got = read(cited(one), cited(one, two, license="x"), cited(finish="STOP"))
    assert got.provider_metadata["citationMetadata"] == {
        "citationSources": [one, two],
        "license": "x",
    }


@pytest.mark.row("SCHE-27")
def test_logprobs_where_they_were_asked(read):
    def with_logprobs(token, finish=None):
        made = frame(text(token), finish=finish)
        result = {"chosenCandidates": [{"token": token, "logProbability": -0.1}]}
        made["candidates"][0]["logprobsResult"] = result
        return made

    frames = with_logprobs("a"), with_logprobs("b", "STOP")
    both = {"chosenCandidates": [{"token": t, "logProbability": -0.1} for t in "ab"]}
    assert read(*frames, logprobs=True).logprobs == both
    assert read(*frames, top_logprobs=1).logprobs == both
    got = read(*frames)
    assert got.logprobs is None
    assert "logprobsResult" not in got.provider_metadata
