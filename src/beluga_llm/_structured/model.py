"""Models of values: the face of structured output, and the loop that asks again."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Protocol, Self, TypeVar, Unpack, overload

import attrs

from beluga_llm import _json
from beluga_llm._delegating import as_model
from beluga_llm._errors import (
    ConfigError,
    ContentFilterError,
    InvalidRequestError,
    RequestTimeoutError,
    StructuredOutputError,
)
from beluga_llm._messages import AIMessage, HumanMessage, Message, ToolMessage
from beluga_llm._model import ChatModel
from beluga_llm._option_types import Timeouts
from beluga_llm._options import UNSET, GenerateOptions, check_keywords, check_layer
from beluga_llm._structured.strategies import STRATEGY_NAMES, Strategy, StrategyName, chosen
from beluga_llm._structured.stream import StructuredStream
from beluga_llm._structured.target import OP, Form, Target
from beluga_llm._types.shape import MisfitError
from beluga_llm._usage import FinishReason, Usage
from beluga_llm._validate import MessageInput, ensure_messages

if TYPE_CHECKING:
    from types import TracebackType

    from beluga_llm._chat_stream import ChatStream
    from beluga_llm._keywords import CallKeywords

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
