"""A request as the body of Converse.

What this API, or this model, does not have is left out and noted. Source: "Converse" of the Amazon
Bedrock API reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from beluga_llm import GenerateOptions, ResponseFormat
from beluga_llm.plugin import ChatRequest, Notes, dumps_text
from beluga_llm_bedrock._models import model_facts
from beluga_llm_bedrock._reasoning import plan_reasoning
from beluga_llm_bedrock._schema import grammar_schema
from beluga_llm_bedrock._tools import ToolFields
from beluga_llm_bedrock._turns import Conversation

_ABSENT: Mapping[str, Any] = {
    "n": 1,
    "seed": None,
    "frequency_penalty": 0,
    "presence_penalty": 0,
    "logprobs": False,
    "top_logprobs": None,
    "logit_bias": None,
    "user": None,
}
"""Options that the API does not have, and the values that ask for nothing."""


class BodyEncoder:
    """Makes the body of one request.

    Attributes:
        body: what is sent.
    """

    def __init__(self, request: ChatRequest, notes: Notes) -> None:
        options = request.options
        self._notes = notes
        self._facts = model_facts(options.model or "")
        self._reasoning = plan_reasoning(options.reasoning, self._facts, notes)
        self._reasoning.check(options.max_tokens, provider=notes.provider)
        conversation = Conversation(self._facts, notes)
        for message in request.messages:
            conversation.add(message)
        tools = ToolFields(
            request, conversation, facts=self._facts, reasoning=self._reasoning, notes=notes
        )
        self._note_absent(options)
        fields: dict[str, Any] = {
            "system": conversation.system,
            "inferenceConfig": self._inference(options),
            "toolConfig": tools.config,
            "outputConfig": self._output(options.response_format),
            "additionalModelRequestFields": {
                **self._top_k(options),
                **tools.more,
                **self._reasoning.fields,
            },
        }
        self.body: dict[str, Any] = {
            "messages": conversation.turns(),
            **{name: value for name, value in fields.items() if value},
        }

    def _inference(self, options: GenerateOptions) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if options.max_tokens is not None and self._goes("max_tokens", not self._reasoning.bare):
            found["maxTokens"] = options.max_tokens
        temperature = options.temperature
        if temperature is not None and temperature > 1:
            self._notes.option(
                "temperature", f"temperature goes from 0 to 1 here, got {temperature}"
            )
        elif temperature is not None and self._samples("temperature", temperature):
            found["temperature"] = temperature
        if options.top_p is not None and self._samples("top_p", options.top_p):
            found["topP"] = options.top_p
        if stop := self._stop(options):
            found["stopSequences"] = stop
        return found

    def _stop(self, options: GenerateOptions) -> list[str]:
        if not options.stop or not self._goes("stop", self._facts.stop):
            return []
        kept = [text for text in options.stop if (text.strip() if self._facts.claude else text)]
        if len(kept) < len(options.stop):
            self._notes.option("stop", "stop sequences that are blank are refused")
        return kept

    def _top_k(self, options: GenerateOptions) -> dict[str, Any]:
        """The field of the model's own, which may be nested."""
        value: Any = options.top_k
        if value is None or not self._goes("top_k", bool(self._facts.top_k)):
            return {}
        if not self._samples("top_k", value):
            return {}
        for name in reversed(self._facts.top_k):
            value = {name: value}
        return dict(value)

    def _samples(self, name: str, value: float) -> bool:
        """Whether a sampling parameter goes out; noted where it does not and asks for something."""
        accepts, active = self._facts.sampling, self._reasoning.active
        if self._reasoning.bare:
            return self._goes(name, False)
        if accepts == "yes" or (accepts == "without_thinking" and not active):
            return True
        if accepts == "without_thinking" and _goes_with_thinking(name, value):
            return True
        if name == "top_k" or value != 1:  # 1 is what applies without it
            when = " while it thinks" if accepts == "without_thinking" else ""
            self._notes.option(name, f"{name} is refused by this model{when}")
        return False

    def _output(self, wanted: ResponseFormat | None) -> dict[str, Any] | None:
        if wanted is None or wanted.type == "text":
            return None
        if wanted.schema is None:
            self._notes.option(
                "response_format", "response_format json needs a schema with this API"
            )
            return None
        if not self._goes("response_format", self._facts.schemas is not False):
            return None
        schema = {"schema": dumps_text(grammar_schema(wanted.schema)), "name": wanted.name}
        if wanted.description:
            schema["description"] = wanted.description
        return {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": schema}}}

    def _goes(self, name: str, taken: bool) -> bool:
        """Whether an option goes out; noted where it does not."""
        if not taken:
            self._notes.option(name, f"{name} is not supported by this model")
        return taken

    def _note_absent(self, options: GenerateOptions) -> None:
        for name, nothing in _ABSENT.items():
            if getattr(options, name) not in (None, nothing):
                self._notes.option(name)


def _goes_with_thinking(name: str, value: float) -> bool:
    """Whether a value is one that "Extended thinking" allows: temperature 1, top_p from 0.95."""
    return (name == "temperature" and value == 1) or (name == "top_p" and value >= 0.95)
