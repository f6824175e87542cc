"""What is beside the conversation in a request: tools, forms of the answer, options."""

from __future__ import annotations

import pytest

from beluga_llm import (
    ReasoningConfig,
    ResponseFormat,
    ToolDefinition,
)
from beluga_llm_google._schema import wire_schema

WEATHER = ToolDefinition(
    "weather",
    "Tells the weather.",
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)
NEW = "gemini-3.8-flash"
NEWER = "gemini-4-argon"
OLD = "gemini-2.0-flash"


def text(value):
    return {"text": value}


# --- tools ------------------------------------------------------------------------------------
@pytest.mark.row("PROV-06", "TOOL-22")
def test_tools(body):
    schema = {
        "type": "object",
        "properties": {
            "of": {"$ref": "#/$defs/Thing"},
            "n": {"type": "integer", "minimum": 1, "enum": [1, 2], "description": "How many."},
        },
        "required": ["of"],
        "additionalProperties": False,
        "$defs": {"Thing": {"type": "object", "properties": {"a": {"type": ["string", "null"]}}}},
    }
    found = body(tools=[ToolDefinition("f", "Does.", schema), ToolDefinition("noop")])
    assert found["tools"] == [
        {
            "functionDeclarations": [
                {"name": "f", "description": "Does.", "parametersJsonSchema": schema},
                {"name": "noop"},
            ]
        }
    ]
    assert "toolConfig" not in found


@pytest.mark.row("TOOL-22")
def test_keywords_that_are_refused_take_another_form():
    schema = {
        "properties": {
            "kind": {"const": "a", "description": "d"},
            "of": {"$ref": "#/$defs/T", "description": "which"},
            "bare": {"$ref": "#/$defs/T"},
            "const": {"type": "string"},
            "both": {"$ref": "#/$defs/T", "anyOf": [{"type": "null"}]},
            "list": {"items": {"const": 1}, "prefixItems": [{"const": None}, True]},
        },
        "anyOf": [{"const": False}],
        "required": ["const"],
        "additionalProperties": {"const": 2},
        "$defs": {"T": {"const": "x", "enum": ["x", "y"]}},
    }
    assert wire_schema(schema) == {
        "properties": {
            "kind": {"enum": ["a"], "description": "d"},
            "of": {"anyOf": [{"$ref": "#/$defs/T"}], "description": "which"},
            "bare": {"$ref": "#/$defs/T"},
            "const": {"type": "string"},
            "both": {"$ref": "#/$defs/T", "anyOf": [{"type": "null"}]},
            "list": {"items": {"enum": [1]}, "prefixItems": [{"enum": [None]}, True]},
        },
        "anyOf": [{"enum": [False]}],
        "required": ["const"],
        "additionalProperties": {"enum": [2]},
        "$defs": {"T": {"enum": ["x", "y"]}},
    }
    assert wire_schema({"properties": 3, "items": 1, "anyOf": None}) == {
        "properties": 3,
        "items": 1,
        "anyOf": None,
    }


def _object(**properties):
    return {"type": "object", "properties": properties, "required": list(properties)}


def _ref(name):
    return {"$ref": f"#/$defs/{name}"}


TEXT, NULL = {"type": "string"}, {"type": "null"}


@pytest.mark.row("PROV-06", "STRU-21")
@pytest.mark.parametrize(
    ("schema", "required"),
    [
        (  # a tree, whose root stands outside of the definitions
            {
                **_object(name=TEXT, kids={"type": "array", "items": _ref("Tree")}),
                "$defs": {"Tree": _object(name=TEXT, kids={"items": _ref("Tree")})},
            },
            {"": ["name", "kids"], "Tree": ["name"]},
        ),
        (  # two that refer to each other, and one beside them
            {
                **_object(a=_ref("A"), c=_ref("C")),
                "$defs": {
                    "A": _object(b={"anyOf": [_ref("B"), NULL]}, c=_ref("C")),
                    "B": _object(a=_ref("A"), d=TEXT),
                    "C": _object(d=TEXT),
                },
            },
            {"": ["a", "c"], "A": ["c"], "B": ["d"], "C": ["d"]},
        ),
        (_object(me={"$ref": "#"}, d=TEXT), {"": ["d"]}),
        ({**_object(a=TEXT), "$defs": {"Odd": 3, "True": True}}, {"": ["a"]}),
        ({"properties": {"a": _ref("X")}, "required": 3, "$defs": []}, {"": 3}),
        ({"properties": [], "required": ["a"], "anyOf": [{"$ref": 3}]}, {"": ["a"]}),
    ],
)
def test_what_leads_back_to_itself_is_not_required(encode, schema, required):
    form = ResponseFormat.json_schema(schema)
    sent = encode(response_format=form).json["generationConfig"]["responseJsonSchema"]
    found = {"": sent["required"]}
    if isinstance(sent.get("$defs"), dict):
        parts = sent["$defs"].items()
        found |= {name: part["required"] for name, part in parts if isinstance(part, dict)}
    assert found == required
    assert sent["properties"] == schema["properties"]


@pytest.mark.row("PROV-06", "STRU-21")
def test_only_the_property_that_leads_back_is_loosened(encode):
    """The pairs of a mapping stay pairs; and an object within that does not lead back, as it is."""
    pair = _object(key=TEXT, value=_ref("Tree"))
    tree = _object(kids={"type": "array", "items": pair}, size=_object(x=TEXT, top=TEXT))
    near = {"anyOf": [{"type": "array", "items": _object(name=TEXT, tree=_ref("Tree"))}, NULL]}
    form = ResponseFormat.json_schema({**near, "$defs": {"Tree": {**tree, "items": [near]}}})
    sent = encode(response_format=form).json["generationConfig"]["responseJsonSchema"]
    assert sent["anyOf"] == near["anyOf"]
    [loose] = sent["$defs"]["Tree"]["items"]
    assert loose["anyOf"][0]["items"]["required"] == ["name"]
    assert sent["$defs"]["Tree"]["properties"] == tree["properties"]
    assert sent["$defs"]["Tree"]["required"] == ["size"]


@pytest.mark.row("PROV-33", "TOOL-19", "OPTI-10", "PROV-06")
@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("auto", {"mode": "AUTO"}),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        ("weather", {"mode": "ANY", "allowedFunctionNames": ["weather"]}),
        (None, None),
    ],
)
def test_tool_choice(body, choice, sent):
    found = body(tools=[WEATHER], tool_choice=choice).get("toolConfig")
    assert found == (sent and {"functionCallingConfig": sent})
    assert "toolConfig" not in body(tool_choice=choice)


@pytest.mark.row("OPTI-27")
def test_strict_tools_are_held_to_their_schemas(encode):
    strict = ToolDefinition("f", strict=True)

    def mode(**options):
        request = encode(tools=[WEATHER, strict], **options)
        config = request.json.get("toolConfig", {}).get("functionCallingConfig", {})
        return config.get("mode"), [note.name for note in request.notes]

    assert mode() == ("VALIDATED", [])
    assert mode(tool_choice="auto", model=NEW) == ("VALIDATED", [])
    assert mode(tool_choice="required") == ("ANY", [])
    assert mode(tool_choice="none") == ("NONE", [])
    assert mode(model=OLD) == (None, ["strict"])
    assert mode(model=OLD, tool_choice="auto") == ("AUTO", ["strict"])


@pytest.mark.row("TOOL-21")
@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("f", True), ("_a.b:c-d", True), ("a" * 128, True), ("a" * 129, False), ("1a", False),
        ("a b", False), ("", False), ("ä", False),
    ],
)  # fmt: skip
def test_names_of_tools(dialect, name, allowed):
    assert (dialect.tool_names.fullmatch(name) is not None) is allowed


# --- formats and options ----------------------------------------------------------------------
@pytest.mark.row("PROV-06", "OPTI-08", "OPTI-09")
def test_forms_of_the_answer(encode):
    schema = {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"]}
    request = encode(response_format=ResponseFormat.json_schema(schema, "thing"))
    assert request.json["generationConfig"] == {
        "responseMimeType": "application/json",
        "responseJsonSchema": {**schema, "properties": {"a": {"enum": [1]}}},
    }
    request = encode(response_format=ResponseFormat.json())
    assert request.json["generationConfig"] == {"responseMimeType": "application/json"}
    assert "generationConfig" not in encode(response_format=ResponseFormat.text()).json
    assert request.notes == ()


@pytest.mark.row("OPTI-27", "OPTI-08")
@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({"model": "gemini-2.5-pro"}, False),
        ({"model": NEW}, True),
        ({"model": NEW, "tool_choice": "auto"}, True),
        ({"model": NEW, "tool_choice": "none"}, True),
        ({"model": NEW, "tool_choice": "required"}, False),
        ({"model": NEW, "tool_choice": "weather"}, False),
    ],
)
def test_json_beside_tools_where_the_model_takes_it(encode, options, sent):
    request = encode(tools=[WEATHER], response_format=ResponseFormat.json(), **options)
    assert ("generationConfig" in request.json) is sent
    assert [note.name for note in request.notes] == ([] if sent else ["response_format"])


@pytest.mark.row("PROV-06", "OPTI-04", "OPTI-16", "OPTI-17", "OPTI-18")
def test_options(encode):
    request = encode(
        temperature=0.0,
        top_p=0.5,
        top_k=3,
        max_tokens=9,
        stop=["END", "\n"],
        seed=0,
        n=2,
        top_logprobs=4,
        parallel_tool_calls=True,
        user=None,
    )
    assert request.json["generationConfig"] == {
        "temperature": 0.0,
        "topP": 0.5,
        "topK": 3,
        "maxOutputTokens": 9,
        "stopSequences": ["END", "\n"],
        "seed": 0,
        "candidateCount": 2,
        "responseLogprobs": True,
        "logprobs": 4,
    }
    assert request.notes == ()


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({"logprobs": True}, {"responseLogprobs": True}),
        ({"top_logprobs": 0}, {"responseLogprobs": True}),
        ({"logprobs": False}, {}),
        ({"n": 1}, {}),
    ],
)
def test_options_that_ask_for_little(config, options, sent):
    assert config(**options) == sent


@pytest.mark.row("OPTI-27")
@pytest.mark.parametrize(
    ("name", "value"),
    [("logit_bias", {"5": 1}), ("user", "u-1"), ("parallel_tool_calls", False)],
)
def test_options_that_the_api_lacks_are_noted(encode, name, value):
    request = encode(**{name: value})
    assert request.json == encode().json
    assert [(note.kind, note.name) for note in request.notes] == [("option", name)]


@pytest.mark.row("OPTI-27", "OPTI-14")
@pytest.mark.parametrize(
    ("model", "on_google", "on_vertex"),
    [
        (OLD, True, True),
        ("gemini-2.5-pro", False, True),
        (NEW, False, False),
        ("tuned", True, True),
    ],
)
def test_penalties_where_the_model_takes_them(encode, vertex, model, on_google, on_vertex):
    given = {"presence_penalty": 0.5, "frequency_penalty": -1.0}
    for to, takes in ((None, on_google), (vertex, on_vertex)):
        request = encode(model=model, **given, **({"to": to} if to else {}))
        wanted = {"presencePenalty": 0.5, "frequencyPenalty": -1.0} if takes else None
        assert request.json.get("generationConfig") == wanted
        assert [note.name for note in request.notes] == ([] if takes else list(given))


def test_penalties_of_nothing_are_no_reason_to_warn(encode):
    request = encode(model=NEW, presence_penalty=0.0)
    assert request.notes == ()
    assert request.json == encode(model=NEW).json


@pytest.mark.row("OPTI-27", "SCHE-26")
@pytest.mark.parametrize(
    ("model", "on_google", "on_vertex"),
    [("gemini-2.5-pro", True, True), (NEW, False, True), (NEWER, False, False)],
)
def test_several_candidates_where_the_model_gives_them(encode, vertex, model, on_google, on_vertex):
    for to, takes in ((None, on_google), (vertex, on_vertex)):
        request = encode(model=model, n=2, **({"to": to} if to else {}))
        assert request.json.get("generationConfig") == ({"candidateCount": 2} if takes else None)
        assert [note.name for note in request.notes] == ([] if takes else ["n"])


@pytest.mark.row("OPTI-27", "OPTI-07")
@pytest.mark.parametrize("stop", [("", "a"), tuple("abcdef")])
def test_stops_that_cannot_be_sent_are_noted(encode, stop):
    request = encode(stop=stop)
    assert request.json["generationConfig"]["stopSequences"] == [s for s in stop if s][:5]
    assert [note.name for note in request.notes] == ["stop"]


@pytest.mark.row("OPTI-12", "PROV-06")
def test_options_of_the_provider_go_over_the_body_key_by_key(body):
    given = {
        "safetySettings": [{"category": "X", "threshold": "OFF"}],
        "generationConfig": {"temperature": 0.1, "responseModalities": ["TEXT"]},
        "tools": [{"googleSearch": {}}],
        "cachedContent": "cachedContents/1",
    }
    found = body(
        tools=[WEATHER],
        temperature=0.9,
        max_tokens=5,
        provider_options={"google": given, "openai": {"x": 1}},
    )
    assert found["safetySettings"] == given["safetySettings"]
    assert found["generationConfig"] == {
        "temperature": 0.1,
        "maxOutputTokens": 5,
        "responseModalities": ["TEXT"],
    }
    assert [list(tool) for tool in found["tools"]] == [["functionDeclarations"], ["googleSearch"]]
    assert found["cachedContent"] == "cachedContents/1"
    assert "x" not in found
    assert body(provider_options={"gemini": {"labels": {"a": "b"}}})["labels"] == {"a": "b"}
    assert body(provider_options={"google": {"tools": "odd"}})["tools"] == "odd"


@pytest.mark.row("REAS-11")
def test_a_level_of_the_provider_replaces_ours(config):
    given = {"generationConfig": {"thinkingConfig": {"thinkingLevel": "low"}}}
    assert config(provider_options={"google": given}) == given["generationConfig"]
    found = config(reasoning=ReasoningConfig("high"), provider_options={"google": given})
    assert found == {"thinkingConfig": {"thinkingLevel": "low", "includeThoughts": True}}
