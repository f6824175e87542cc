"""The errors: the class says what happened, the attributes say what to do.

    BelugaError
    |- ConfigError (ValueError)              invalid_config
    |- PluginError                           plugin_error
    |  |- PluginLoadError
    |  `- DuplicateProviderError
    |- ProviderNotFoundError                 not_found
    |- InvalidRequestError (ValueError)      invalid_input
    |  |- UnsupportedOptionError             unsupported
    |  |- UnsupportedContentError            unsupported
    |  `- ContextLengthError                 context_length
    |     `- TokenLimitError
    |- ProviderError                         provider_error
    |  |- AuthenticationError                auth_error
    |  |- PermissionDeniedError              permission_denied
    |  |- ModelNotFoundError                 not_found
    |  |- RateLimitError                     rate_limit            retryable
    |  |- QuotaExceededError                 quota_exceeded
    |  |- RequestTimeoutError (TimeoutError) timeout               retryable
    |  |  `- StreamTimeoutError
    |  |- ProviderUnavailableError           provider_unavailable  retryable
    |  |  |- ConnectionFailedError
    |  |  |- OverloadedError                 overloaded            retryable
    |  |  `- CircuitOpenError                circuit_open          retryable
    |  |- ContentFilterError                 content_filter
    |  |- MalformedResponseError             malformed_response
    |  |  `- EmptyResponseError              empty_response
    |  `- StreamInterruptedError             stream_interrupted    retryable before content
    |- AllModelsFailedError                  code and retryable of the last error
    |- StructuredOutputError                 invalid_output
    |- BudgetExhaustedError                  budget_exhausted
    |- GuardBlockedError                     guard_blocked
    |- StoreError                            store_error
    `- ToolFailedError                       tool_failed
       |- ToolArgumentsError
       `- ToolNotFoundError

`ToolError` is raised by tools to tell the model what went wrong; it is not a BelugaError.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from beluga_llm._messages import AIMessage, Message


class BelugaError(Exception):
    """The base of every error of ours.

    Attributes:
        message: what happened, without the prefix and suffix that `str()` adds.
        code: a stable word of the table above, for programs.
        retryable: whether the same call may succeed a little later.
        op: what was being done: "chat.generate", "chat.stream", "openai.new", ...
        provider: the provider's entry name.
        model_id: the model asked.
        status: the HTTP status.
        retry_after: how long the provider asked to wait, in seconds.
        provider_code: the provider's own error code, unchanged.
        request_id: the provider's id of the request, for its support.
        body: the decoded error body, keys removed.
        partial: for errors inside a stream, the AIMessage so far.
        attempts: how many attempts were made, where a retry was around the call.

    Every attribute is None where it is unknown.
    """

    code: str = "error"
    retryable: bool = False
    provider_code: str | None = None
    partial: AIMessage | None = None
    attempts: Any = None

    def __init__(
        self,
        message: str = "",
        *,
        code: str | None = None,
        retryable: bool | None = None,
        op: str | None = None,
        provider: str | None = None,
        model_id: str | None = None,
        status: int | None = None,
        retry_after: float | None = None,
        provider_code: str | None = None,
        request_id: str | None = None,
        body: Any = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code
        if retryable is not None:
            self.retryable = retryable
        self.op = op
        self.provider = provider
        self.model_id = model_id
        self.status = status
        self.retry_after = retry_after
        if provider_code is not None:
            self.provider_code = provider_code
        self.request_id = request_id
        self.body = body

    def __str__(self) -> str:
        where = f"[{self.provider}] " if self.provider else ""
        facts = []
        if self.status is not None:
            facts.append(f"status {self.status}")
        if self.request_id:
            facts.append(f"request id {self.request_id}")
        suffix = f" ({', '.join(facts)})" if facts else ""
        return f"{where}{self.code}: {self.message}{suffix}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, self.__dict__.copy())


def _rebuild(kind: type[BelugaError], args: tuple[Any, ...], state: dict[str, Any]) -> BelugaError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(state)
    return error


# --- our side: configuration, plugins, input -------------------------------------------------


class ConfigError(BelugaError, ValueError):
    """The configuration is wrong; the message lists every problem found."""

    code = "invalid_config"

    @classmethod
    def of(cls, problems: Iterable[str], **facts: Any) -> ConfigError:
        """One error for all problems, in their order."""
        return cls("; ".join(problems), **facts)


class PluginError(BelugaError):
    """A plugin broke its contract."""

    code = "plugin_error"


class PluginLoadError(PluginError):
    """A plugin could not be imported, or is made for another plugin API."""


class DuplicateProviderError(PluginError):
    """Two things claim one name."""


class ProviderNotFoundError(BelugaError):
    """No provider of that name is registered or installed."""

    code = "not_found"


class InvalidRequestError(BelugaError, ValueError):
    """The request is wrong; sending it again will not help."""

    code = "invalid_input"


class UnsupportedOptionError(InvalidRequestError):
    """The provider has no such option, and the configuration asked to hear about it."""

    code = "unsupported"


class UnsupportedContentError(InvalidRequestError):
    """The provider cannot take a part of this type."""

    code = "unsupported"


class ContextLengthError(InvalidRequestError):
    """The conversation does not fit the model's context window."""

    code = "context_length"


class TokenLimitError(ContextLengthError):
    """An estimate says that the conversation will not fit, before it is sent.

    Attributes:
        estimated: estimated input, in tokens.
        window: the model's context window, in tokens.
        available: what the window leaves, in tokens.
        model: the model's id.
    """

    def __init__(
        self,
        message: str = "",
        *,
        estimated: int = 0,
        window: int = 0,
        available: int = 0,
        model: str = "",
        **facts: Any,
    ) -> None:
        super().__init__(message, **facts)
        self.estimated = estimated
        self.window = window
        self.available = available
        self.model = model


# --- the provider's side ---------------------------------------------------------------------


class ProviderError(BelugaError):
    """The provider failed, or refused the request."""

    code = "provider_error"


class AuthenticationError(ProviderError):
    """The key is missing or not accepted."""

    code = "auth_error"


class PermissionDeniedError(ProviderError):
    """The key is valid but may not do this."""

    code = "permission_denied"


class ModelNotFoundError(ProviderError):
    """The provider has no such model, or no such address."""

    code = "not_found"


class RateLimitError(ProviderError):
    """Too many requests; `retry_after` says how long to wait, if the provider said so.

    Attributes:
        governed: whether limits of ours know of it: they raised it themselves, before anything
            was sent, or hold further requests back. A circuit breaker does not count it.
    """

    code = "rate_limit"
    retryable = True
    governed: bool = False


class QuotaExceededError(ProviderError):
    """The account has no credit or quota left; waiting does not help."""

    code = "quota_exceeded"


class RequestTimeoutError(ProviderError, TimeoutError):
    """A limit of time passed; the message says which."""

    code = "timeout"
    retryable = True


class StreamTimeoutError(RequestTimeoutError):
    """A stream stalled: no first content, or silence between chunks."""


class ProviderUnavailableError(ProviderError):
    """The provider is down or failing."""

    code = "provider_unavailable"
    retryable = True


class ConnectionFailedError(ProviderUnavailableError):
    """The provider could not be reached, or the connection broke."""


class OverloadedError(ProviderUnavailableError):
    """The provider says that it is overloaded."""

    code = "overloaded"


class CircuitOpenError(ProviderUnavailableError):
    """A circuit breaker is open: the call was not made.

    Attributes:
        state: the breaker's state.
        last_error: code, type and text of the failure that opened it.
    """

    code = "circuit_open"

    def __init__(
        self, message: str = "", *, state: str = "open", last_error: Any = None, **facts: Any
    ) -> None:
        super().__init__(message, **facts)
        self.state = state
        self.last_error = last_error


class ContentFilterError(ProviderError):
    """The provider refused the request because of a content filter."""

    code = "content_filter"


class MalformedResponseError(ProviderError):
    """The answer could not be decoded; the message shows its first 500 characters."""

    code = "malformed_response"


class EmptyResponseError(MalformedResponseError):
    """The answer holds no choice at all."""

    code = "empty_response"


class StreamInterruptedError(ProviderError):
    """The stream ended before the answer was complete.

    Attributes:
        content_started: whether any content had arrived; retryable only where it had not.
        partial: the AIMessage so far.
    """

    code = "stream_interrupted"

    def __init__(
        self,
        message: str = "",
        *,
        content_started: bool = False,
        partial: AIMessage | None = None,
        **facts: Any,
    ) -> None:
        facts.setdefault("retryable", not content_started)
        super().__init__(message, **facts)
        self.content_started = content_started
        self.partial = partial


# --- errors of what is built around a model --------------------------------------------------


class AllModelsFailedError(BelugaError):
    """Every model of a fallback or router failed; `attempts` tells how each did."""

    code = "provider_error"

    def __init__(self, message: str = "", *, attempts: tuple[Any, ...] = (), **facts: Any) -> None:
        super().__init__(message, **facts)
        self.attempts = attempts


class StructuredOutputError(BelugaError):
    """The model gave no value of the type asked for.

    Attributes:
        attempts: how many answers were tried.
        raw: the text of the last answer.
        last_error: what was wrong with it.
        usage: tokens spent on all attempts.
    """

    code = "invalid_output"

    def __init__(
        self,
        message: str = "",
        *,
        attempts: int = 0,
        raw: str = "",
        last_error: Any = None,
        usage: Any = None,
        **facts: Any,
    ) -> None:
        super().__init__(message, **facts)
        self.attempts = attempts
        self.raw = raw
        self.last_error = last_error
        self.usage = usage


class BudgetExhaustedError(BelugaError):
    """The budget has no room for this call.

    Attributes:
        limit: US dollars of the day.
        spent: US dollars that were spent of it.
        reserved: US dollars held for calls under way.
        needed: US dollars that this call may cost.
    """

    code = "budget_exhausted"

    def __init__(
        self,
        message: str = "",
        *,
        limit: Any = None,
        spent: Any = None,
        reserved: Any = None,
        needed: Any = None,
        **facts: Any,
    ) -> None:
        super().__init__(message, **facts)
        self.limit = limit
        self.spent = spent
        self.reserved = reserved
        self.needed = needed


class GuardBlockedError(BelugaError):
    """A guard refused the request or the answer."""

    code = "guard_blocked"


class StoreError(BelugaError):
    """A store could not be read or written.

    Attributes:
        conflict: whether somebody else changed a conversation meanwhile.
        unsaved: messages of a conversation that are in no store.
    """

    code = "store_error"

    def __init__(
        self,
        message: str = "",
        *,
        conflict: bool = False,
        unsaved: tuple[Message, ...] = (),
        **facts: Any,
    ) -> None:
        super().__init__(message, **facts)
        self.conflict = conflict
        self.unsaved = unsaved


class ToolFailedError(BelugaError):
    """A tool, or the loop around tools, failed; what the tool raised is the `__cause__`.

    Attributes:
        messages: the conversation so far, where a loop was running.
    """

    code = "tool_failed"
    messages: tuple[Message, ...] = ()


class ToolArgumentsError(ToolFailedError):
    """The arguments of a call are not a JSON object; `raw` is the text as received."""

    def __init__(self, message: str = "", *, raw: str = "", **facts: Any) -> None:
        super().__init__(message, **facts)
        self.raw = raw


class ToolNotFoundError(ToolFailedError):
    """The model called a tool that is not there."""


class ToolError(Exception):
    """Raised by a tool: its text is reported to the model as a failed result."""


class UnsupportedOptionWarning(UserWarning):
    """An option was not sent, because the provider does not have it."""


class DroppedContentWarning(UserWarning):
    """A part was not sent: the provider cannot take it, or it carries another one's signature."""


# --- what errors say -------------------------------------------------------------------------


_BY_STATUS: dict[int, type[ProviderError | InvalidRequestError]] = {
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: ModelNotFoundError,
    408: RequestTimeoutError,
    425: ProviderUnavailableError,
    429: RateLimitError,
    504: RequestTimeoutError,
    529: OverloadedError,
}


def from_status(status: int) -> type[ProviderError | InvalidRequestError]:
    """The class that an HTTP status means when the body says nothing better."""
    if known := _BY_STATUS.get(status):
        return known
    if 400 <= status < 500:
        return InvalidRequestError
    return ProviderUnavailableError if status >= 500 else ProviderError


def is_retryable(error: BaseException) -> bool:
    """Whether the same call may succeed a little later.

    Foreign exceptions are not retryable, but for one raised `from` an error of ours that is.
    """
    seen: set[int] = set()  # `raise e from e` makes a circle
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        if isinstance(cause, BelugaError):
            return cause.retryable
        seen.add(id(cause))
        cause = cause.__cause__
    return False
