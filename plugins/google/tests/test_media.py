"""Media in requests: inline, by address, or noted."""

from __future__ import annotations

import base64

import pytest

from beluga_llm import (
    AIMessage,
    AudioPart,
    FilePart,
    HumanMessage,
    ImagePart,
    SystemMessage,
    ThinkingPart,
    UnknownPart,
    VideoPart,
)

PNG = b"\x89PNG\r\n"
PNG64 = base64.b64encode(PNG).decode()
FILES = "https://generativelanguage.googleapis.com/v1beta/files/"


def turn(role, *parts):
    return {"role": role, "parts": list(parts)}


def text(value):
    return {"text": value}


@pytest.mark.row("PROV-17", "SCHE-09", "SCHE-10", "SCHE-11", "SCHE-12")
@pytest.mark.parametrize(
    ("part", "sent"),
    [
        (ImagePart(PNG), ("image/png", PNG64)),
        (AudioPart(b"x"), ("audio/wav", "eA==")),
        (AudioPart(b"x", format="mp3"), ("audio/mp3", "eA==")),
        (AudioPart(b"x", format="pcm16", sample_rate=16000), ("audio/pcm;rate=16000", "eA==")),
        (AudioPart(b"x", format="pcm16"), ("audio/pcm", "eA==")),
        (VideoPart(b"x"), ("video/mp4", "eA==")),
        (FilePart(b"%PDF"), ("application/pdf", "JVBERg==")),
        (FilePart(b"x", mime_type="text/csv"), ("text/csv", "eA==")),
        (ImagePart(url="data:image/gif;base64,R0lG"), ("image/gif", "R0lG")),
        (FilePart(url="data:text/plain;charset=utf-8,a%20b"), ("text/plain", "YSBi")),
        (ImagePart(url="data:;base64,R0lG", mime_type="image/webp"), ("image/webp", "R0lG")),
    ],
)
def test_bytes_go_inline(encode, part, sent):
    request = encode(HumanMessage(["see", part]))
    mime_type, data = sent
    assert request.json["contents"][0]["parts"] == [
        text("see"),
        {"inlineData": {"mimeType": mime_type, "data": data}},
    ]
    assert request.notes == ()


@pytest.mark.row("PROV-17", "PROV-06")
@pytest.mark.parametrize(
    ("part", "sent"),
    [
        (ImagePart(url="https://x/a.jpg"), ("https://x/a.jpg", "image/jpeg")),
        (ImagePart(url="gs://b/a.webp"), ("gs://b/a.webp", "image/webp")),
        (AudioPart(url="https://x/a", format="ogg"), ("https://x/a", "audio/ogg")),
        (VideoPart(url="https://www.youtube.com/watch?v=1"), (
            "https://www.youtube.com/watch?v=1", "video/mp4")),
        (FilePart(url="https://x/a.pdf"), ("https://x/a.pdf", "application/pdf")),
        (FilePart(file_id="files/abc"), (FILES + "abc", "application/pdf")),
        (FilePart(file_id="abc", mime_type="text/csv"), (FILES + "abc", "text/csv")),
        (FilePart(file_id=FILES + "abc"), (FILES + "abc", "application/pdf")),
        (ImagePart(file_id="abc", mime_type="image/jpeg"), (FILES + "abc", "image/jpeg")),
        (ImagePart(file_id="abc"), (FILES + "abc", None)),
    ],
)  # fmt: skip
def test_addresses_are_left_to_the_api(encode, part, sent):
    request = encode(HumanMessage(part))
    uri, mime_type = sent
    data = {"mimeType": mime_type, "fileUri": uri} if mime_type else {"fileUri": uri}
    assert request.json["contents"][0]["parts"] == [{"fileData": data}]
    assert request.notes == ()


@pytest.mark.row("SCHE-15")
@pytest.mark.parametrize(
    "part",
    [
        ImagePart(url="http://x/a.png"),
        FilePart(url="ftp://x/a.pdf"),
        UnknownPart("hologram"),
        ThinkingPart("x"),
    ],
)
def test_parts_that_cannot_be_sent_are_noted(encode, part):
    request = encode(HumanMessage(["hi", part]))
    assert request.json["contents"] == [turn("user", text("hi"))]
    assert [(note.kind, note.name) for note in request.notes] == [("content", part.type)]
    assert "google" in request.notes[0].text


def test_system_instructions_are_texts(noted):
    assert noted(SystemMessage(ImagePart(PNG)), HumanMessage("hi")) == ["image"]


@pytest.mark.row("SCHE-11")
def test_hints_of_a_part(body):
    hints = {"videoMetadata": {"fps": 5}, "mediaResolution": {"level": "X"}, "other": 1}
    found = body(HumanMessage(VideoPart(b"x", metadata=hints)))["contents"][0]["parts"][0]
    assert found["videoMetadata"] == {"fps": 5}
    assert found["mediaResolution"] == {"level": "X"}
    assert "other" not in found


def test_pictures_of_an_answer_go_back_with_their_signatures(body):
    own = {"thoughtSignature": "c2ln", "provider": "google"}
    answer = AIMessage(
        [ImagePart(PNG, metadata=own), ImagePart(PNG, metadata={**own, "provider": "vertex"})]
    )
    image = {"inlineData": {"mimeType": "image/png", "data": PNG64}}
    parts = body(HumanMessage("draw"), answer)["contents"][1]["parts"]
    assert parts == [{**image, "thoughtSignature": "c2ln"}, image]


def test_parts_of_an_unknown_kind_in_answers_are_noted(noted):
    assert noted(HumanMessage("hi"), AIMessage(["a", UnknownPart("x")])) == ["x"]
