"""Other clients, measured beside ours where they are installed: `nox -s peers`.

Each is used as its documentation shows, with retries off, and makes what its users get: typed
chunks, not dictionaries.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any

from clients import QUESTION, Client, Seen, plain_history, plain_tools

KEY = "key"
MANY = 2000
"""Connections at a time."""


class Peer:
    """What the others have in common."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url

    async def aclose(self) -> None:
        """Closes what the library lets one close."""


class OpenAI(Peer):
    """The official client of OpenAI."""

    def __init__(self, base_url: str) -> None:
        super().__init__(base_url)
        import httpx
        import openai

        self.client = openai.AsyncOpenAI(
            base_url=base_url,
            api_key=KEY,
            max_retries=0,
            http_client=httpx.AsyncClient(limits=httpx.Limits(max_connections=MANY), timeout=600),
        )

    async def generate(self, talk: Any = None) -> None:
        """One call."""
        create: Any = self.client.chat.completions.create
        tools = {"tools": plain_tools()} if talk else {}
        answer = await create(model="whole", messages=talk or plain_history(0), **tools)
        assert answer.choices[0].message.content

    async def stream(self, model: str, seen: Seen | None = None) -> int:
        """One stream."""
        create: Any = self.client.chat.completions.create
        answer = await create(model=model, messages=plain_history(0), stream=True)
        return await counted(answer, _of_chat, seen)

    async def aclose(self) -> None:
        """Closes the client."""
        await self.client.close()


class Anthropic(Peer):
    """The official client of Anthropic."""

    def __init__(self, base_url: str) -> None:
        super().__init__(base_url)
        import anthropic

        root = base_url.removesuffix("/v1")
        self.client = anthropic.AsyncAnthropic(base_url=root, api_key=KEY, max_retries=0)

    async def generate(self, talk: Any = None) -> None:
        """One call."""
        create: Any = self.client.messages.create
        answer = await create(model="whole", max_tokens=4096, messages=talk or plain_history(0))
        assert answer.content[0].text

    async def stream(self, model: str, seen: Seen | None = None) -> int:
        """One stream."""
        create: Any = self.client.messages.create
        answer = await create(model=model, max_tokens=4096, messages=plain_history(0), stream=True)
        return await counted(answer, _of_messages, seen)

    async def aclose(self) -> None:
        """Closes the client."""
        await self.client.close()


class LiteLLM(Peer):
    """LiteLLM, as a library."""

    def __init__(self, base_url: str) -> None:
        super().__init__(base_url)
        import litellm

        litellm.REPEATED_STREAMING_CHUNK_LIMIT = 10**9  # a benchmark's chunks are all the same
        litellm.suppress_debug_info = True

    def _asked(self, model: str, **more: Any) -> dict[str, Any]:
        name = f"openai/{model}"
        return {"model": name, "api_base": self.base_url, "api_key": KEY, "num_retries": 0, **more}

    async def generate(self, talk: Any = None) -> None:
        """One call."""
        import litellm

        tools = {"tools": plain_tools()} if talk else {}
        asked = self._asked("whole", messages=talk or plain_history(0), **tools)
        assert (await litellm.acompletion(**asked)).choices[0].message.content

    async def stream(self, model: str, seen: Seen | None = None) -> int:
        """One stream."""
        import litellm

        asked = self._asked(model, messages=plain_history(0), stream=True)
        return await counted(await litellm.acompletion(**asked), _of_chat, seen)


class LangChain(Peer):
    """LangChain's ChatOpenAI."""

    def _model(self, name: str) -> Any:
        from langchain_openai import ChatOpenAI

        return ChatOpenAI(model=name, base_url=self.base_url, api_key=KEY, max_retries=0)

    def __init__(self, base_url: str) -> None:
        super().__init__(base_url)
        self.whole = self._model("whole")
        self.bound = self.whole.bind_tools(plain_tools())

    async def generate(self, talk: Any = None) -> None:
        """One call."""
        model = self.bound if talk else self.whole
        assert (await model.ainvoke(talk or plain_history(0))).content

    async def stream(self, model: str, seen: Seen | None = None) -> int:
        """One stream."""
        return await counted(self._model(model).astream(QUESTION), _of_langchain, seen)


class PydanticAI(Peer):
    """pydantic-ai's direct requests to a model."""

    def _model(self, name: str) -> Any:
        from pydantic_ai.models.openai import OpenAIChatModel
        from pydantic_ai.providers.openai import OpenAIProvider

        return OpenAIChatModel(name, provider=OpenAIProvider(base_url=self.base_url, api_key=KEY))

    def __init__(self, base_url: str) -> None:
        super().__init__(base_url)
        self.whole = self._model("whole")

    async def generate(self, talk: Any = None) -> None:
        """One call."""
        from pydantic_ai.direct import model_request
        from pydantic_ai.models import ModelRequestParameters
        from pydantic_ai.tools import ToolDefinition

        functions = [one["function"] for one in plain_tools()] if talk else []
        tools = [
            ToolDefinition(
                name=one["name"],
                description=one["description"],
                parameters_json_schema=one["parameters"],
            )
            for one in functions
        ]
        asked = ModelRequestParameters(function_tools=tools)
        answer = await model_request(self.whole, _talk(talk), model_request_parameters=asked)
        assert answer.parts

    async def stream(self, model: str, seen: Seen | None = None) -> int:
        """One stream."""
        from pydantic_ai.direct import model_request_stream

        async with model_request_stream(self._model(model), _talk(None)) as answer:
            return await counted(answer, _of_pydantic_ai, seen)


async def counted(answer: Any, text_of: Callable[[Any], str], seen: Seen | None) -> int:
    """The number of pieces that are not empty."""
    count = 0
    async for piece in answer:
        if text := text_of(piece):
            count += 1
            if seen is not None:
                seen(text)
    return count


def _of_chat(chunk: Any) -> str:
    if not chunk.choices:
        return ""
    delta = chunk.choices[0].delta
    if delta.tool_calls:
        return str(delta.tool_calls[0].function.arguments or "")
    return delta.content or ""


def _of_messages(event: Any) -> str:
    return str(event.delta.text) if event.type == "content_block_delta" else ""


def _of_langchain(chunk: Any) -> str:
    if calls := chunk.tool_call_chunks:
        return str(calls[0]["args"] or "")
    return str(chunk.content)


def _of_pydantic_ai(event: Any) -> str:
    if event.event_kind == "part_start":
        part = event.part
    elif event.event_kind == "part_delta":
        part = event.delta
    else:
        return ""
    for name in ("content", "content_delta", "args", "args_delta"):
        if found := getattr(part, name, None):
            return str(found)
    return ""


def _talk(talk: Any) -> list[Any]:
    from pydantic_ai.messages import ModelRequest, ModelResponse, TextPart, UserPromptPart

    return [
        ModelResponse(parts=[TextPart(one["content"])])
        if one["role"] == "assistant"
        else ModelRequest(parts=[UserPromptPart(one["content"])])
        for one in talk or plain_history(0)
    ]


def _installed(base_url: str, known: dict[str, tuple[str, type[Any]]]) -> dict[str, Any]:
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else it asks the network
    found: dict[str, Callable[[], Client]] = {}
    for name, (module, kind) in known.items():
        try:
            importlib.import_module(module)
        except ImportError:
            print(f"not installed: {name}")
            continue
        found[name] = lambda kind=kind: kind(base_url)
    return found


def chat_clients(base_url: str) -> dict[str, Callable[[], Client]]:
    """Those for chat completions that are installed."""
    known: dict[str, tuple[str, type[Any]]] = {
        "openai": ("openai", OpenAI),
        "litellm": ("litellm", LiteLLM),
        "langchain-openai": ("langchain_openai", LangChain),
        "pydantic-ai": ("pydantic_ai.models.openai", PydanticAI),
    }
    return _installed(base_url, known)


def messages_clients(base_url: str) -> dict[str, Callable[[], Client]]:
    """Those for Anthropic's messages that are installed."""
    return _installed(base_url, {"anthropic": ("anthropic", Anthropic)})
