"""What Vertex AI does in another way, counting tokens, and what is known of models."""

from __future__ import annotations

import pytest

from beluga_llm import (
    ChatRequest,
    FilePart,
    GenerateOptions,
    HumanMessage,
    SystemMessage,
    ToolDefinition,
)
from beluga_llm_google import VertexDialect

WEATHER = ToolDefinition(
    "weather",
    "Tells the weather.",
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)
NEW = "gemini-3.8-flash"
NEWER = "gemini-4-argon"
OLD = "gemini-2.0-flash"


def turn(role, *parts):
    return {"role": role, "parts": list(parts)}


def text(value):
    return {"text": value}


# --- vertex -----------------------------------------------------------------------------------
@pytest.mark.row("PROV-32")
@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gemini-2.5-pro", "/publishers/google/models/gemini-2.5-pro"),
        ("google/gemini-2.5-pro", "/publishers/google/models/gemini-2.5-pro"),
        ("models/gemini-2.5-pro", "/publishers/google/models/gemini-2.5-pro"),
        ("meta/llama", "/publishers/meta/models/llama"),
        ("publishers/google/models/x", "/publishers/google/models/x"),
    ],
)
def test_paths_of_vertex(encode, vertex, model, path):
    place = "/v1/projects/p/locations/us-central1"
    assert encode(to=vertex, model=model).path == f"{place}{path}:generateContent"
    streamed = encode(to=vertex, model=model, streaming=True)
    assert streamed.path == f"{place}{path}:streamGenerateContent"
    assert dict(streamed.query) == {"alt": "sse"}


def test_other_names_of_vertex(encode):
    endpoint = "projects/1/locations/eu/endpoints/2"
    to = VertexDialect(project="my project", location="global")
    assert encode(to=to, model=endpoint).path == f"/v1/{endpoint}:generateContent"
    assert encode(to=to).path.startswith("/v1/projects/my%20project/locations/global/publishers/")
    assert to.auth("token") == {"Authorization": "Bearer token"}


@pytest.mark.row("SCHE-15", "PROV-32")
def test_files_of_vertex_are_addresses(encode, vertex):
    request = encode(HumanMessage(["hi", FilePart(file_id="files/abc")]), to=vertex)
    assert request.json["contents"] == [turn("user", text("hi"))]
    assert [(note.kind, note.name) for note in request.notes] == [("content", "file")]
    request = encode(HumanMessage(FilePart(file_id="gs://b/a.pdf")), to=vertex)
    data = {"mimeType": "application/pdf", "fileUri": "gs://b/a.pdf"}
    assert request.json["contents"] == [turn("user", {"fileData": data})]


@pytest.mark.row("OPTI-12")
def test_options_of_vertex(encode, vertex):
    def sent(options):
        return encode(to=vertex, provider_options=options).json

    assert sent({"vertex": {"labels": {"a": "b"}}, "google": {"x": 1}}).keys() == {
        "contents",
        "labels",
    }
    assert sent({"google": {"labels": {"a": "b"}}})["labels"] == {"a": "b"}


# --- counting ---------------------------------------------------------------------------------
@pytest.mark.row("TOKE-12")
def test_count_requests(dialect, vertex):
    options = GenerateOptions(model=NEW, temperature=0.5)
    request = ChatRequest((SystemMessage("s"), HumanMessage("hi")), options, (WEATHER,))
    made = dialect.count_request(request)
    prompt = {
        "contents": [turn("user", text("hi"))],
        "systemInstruction": {"parts": [text("s")]},
        "tools": dialect.encode(request).json["tools"],
    }
    assert made.path == "/models/gemini-3.8-flash:countTokens"
    assert made.json == {"generateContentRequest": {"model": f"models/{NEW}", **prompt}}
    on_vertex = vertex.count_request(request)
    assert on_vertex.path.endswith("/publishers/google/models/gemini-3.8-flash:countTokens")
    assert on_vertex.json == prompt
    assert dialect.counted({"totalTokens": 12}) == 12
    assert dialect.count_request(ChatRequest((SystemMessage("s"),), options)) is None


@pytest.mark.row("CHAT-19")
def test_capabilities(dialect, vertex):
    old, new = dialect.capabilities("gemini-2.5-pro"), dialect.capabilities(NEWER)
    assert old.tool_choice == {"auto", "none", "required", "named"}
    assert (old.json_schema, old.images, old.video, old.files) == (True, True, True, True)
    assert (old.n, new.n) == (True, False)
    assert (dialect.capabilities(NEW).n, vertex.capabilities(NEW).n) == (False, True)
    assert (old.prefill, dialect.capabilities(NEW).prefill, new.prefill) == (True, None, False)
    assert (dialect.capabilities(OLD).reasoning, old.reasoning) == (False, True)
    assert old.count_tokens


@pytest.mark.row("HEAL-03")
def test_vertex_has_no_list_to_be_probed_with():
    """The list of Google's models tells nothing of the project, so one token is asked for."""
    assert VertexDialect(project="p").probe_request(None) is None
