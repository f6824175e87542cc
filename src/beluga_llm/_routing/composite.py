"""What models made of several models have in common."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from beluga_llm._call import Chunks
from beluga_llm._capabilities import COUNTS, Capabilities
from beluga_llm._closing import close_each
from beluga_llm._delegating import as_model
from beluga_llm._errors import ConfigError
from beluga_llm._model import ChatModel
from beluga_llm._request import ChatRequest
from beluga_llm._tokens import TokenCount
from beluga_llm._validate import MessageInput, ToolInput, join_tools

if TYPE_CHECKING:
    from beluga_llm._health import Health


class CompositeChatModel(ChatModel):
    """The base of a model that hands each request to one of several.

    Args:
        models: models, or names that `create` takes.

    Raises:
        ConfigError: there are none.
    """

    provider = "beluga"
    _hands_on = True

    def __init__(self, models: Iterable[ChatModel | str]) -> None:
        super().__init__()
        self.models: tuple[ChatModel, ...] = tuple(map(as_model, models))
        if not self.models:
            raise ConfigError("no models configured")

    @property
    def capabilities(self) -> Capabilities:
        """What all models can do."""
        return common_capabilities([model.capabilities for model in self.models])

    async def count_tokens(
        self, messages: MessageInput, tools: Iterable[ToolInput] = ()
    ) -> TokenCount:
        """The first model's count."""
        return await self.models[0].count_tokens(messages, join_tools(self._tools, tools, win=True))

    async def _health(self, *, probe: bool) -> Health:
        from beluga_llm._health import joint_health

        return await joint_health(self, dict.fromkeys(self.models), probe=probe)

    def _inside(self) -> tuple[ChatModel, ...]:
        return self.models

    def _open(self, request: ChatRequest) -> Chunks:
        return self._stream(request)  # its errors are those of its models

    async def _aclose(self) -> None:
        await close_models(self.models)

    def __repr__(self) -> str:
        inner = ", ".join(model.qualified_id for model in self.models)
        return f"<{type(self).__name__} {inner}>"


def common_capabilities(found: Sequence[Capabilities]) -> Capabilities:
    """What all can do: True where all can, False where one cannot, else unknown; least tokens."""
    values: dict[str, Any] = {}
    for attribute in attrs.fields(Capabilities):
        each = [getattr(one, attribute.name) for one in found]
        if attribute.name == "tool_choice":
            sets = [choices for choices in each if choices is not None]
            values[attribute.name] = (
                frozenset.intersection(*sets) if len(sets) == len(each) else None
            )
        elif attribute.name in COUNTS:
            values[attribute.name] = None if None in each else min(each)
        elif False in each:
            values[attribute.name] = False
        else:
            values[attribute.name] = None if None in each else True
    return Capabilities(**values)


async def close_models(models: Iterable[ChatModel]) -> None:
    """Closes all models, each once, even where one fails.

    Raises:
        ExceptionGroup: what failed.
    """
    if errors := await close_each(model.aclose for model in dict.fromkeys(models)):
        raise ExceptionGroup("closing the models failed", errors)
