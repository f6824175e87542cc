"""What an error answer says, wherever its vendor writes it.

Shapes that are read (corpus and vendors' pages): `{"error": {...}}`, `{"error": "text"}`,
`[{"error": {...}}]` (Google), `{"type": "error", "error": {...}, "request_id"}` (Anthropic),
`{"message"}` with `x-amzn-errortype` (AWS), `{"detail": "text" or [{"loc", "msg"}]}` (FastAPI),
`{"errors": [...]}`, `{"response": {"error": {...}}}` (Responses), `metadata.raw` (OpenRouter), JSON
inside of the message or of an `error` that is a text (Ollama), server-sent events, plain text, and
web pages. Whatever else comes is shown as it is: reading an error never fails.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

import msgspec

from beluga_llm._http.framing import SSE
from beluga_llm._http.rate_headers import number, retry_after, until_reset
from beluga_llm._json import JsonError, dumps_text, loads

T = TypeVar("T")

_TEXT_LIMIT = 500
_DEEPEST = 3
_REQUEST_IDS = (
    "x-request-id", "request-id", "x-amzn-requestid", "x-amz-request-id", "apim-request-id",
    "x-ms-request-id", "mistral-correlation-id",
)  # fmt: skip


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """What an error answer says.

    Attributes:
        message: never empty.
        type: the kind of error, in the provider's words.
        code: the provider's code; a number as its digits.
        param: the field of the request that it blames.
        reasons: further words of the provider for what happened.
        status_code_in_body: an HTTP status that the body names.
        retry_after: how long to wait, in seconds.
        request_id: the provider's id of the request.
        body: the decoded JSON, or the text.
    """

    message: str
    type: str | None = None
    code: str | None = None
    param: str | None = None
    reasons: tuple[str, ...] = ()
    status_code_in_body: int | None = None
    retry_after: float | None = None
    request_id: str | None = None
    body: Any = None

    def words(self) -> Iterator[str]:
        """Code, type and reasons, as far as they are known, in this order."""
        yield from (word for word in (self.code, self.type, *self.reasons) if word)


def read_problem(
    status: int, headers: Mapping[str, str], body: bytes, *, now: float, host: str = ""
) -> Problem:
    """The facts of an error answer.

    Args:
        status: the HTTP status.
        headers: their names in lower case; `:authority` may be the server's name.
        body: the raw body, or one frame of it.
        now: unix seconds, for dates where the answer has no `Date` header.
        host: the server's name, for a body that is a web page.
    """
    value = _decoded(body)
    errors = _errors(value)
    objects = [*errors, *_listed(value)]
    host = host or headers.get(":authority", "")
    return Problem(
        message=_message(errors) or _message(objects) or _plain_message(value, status, host),
        type=_first(map(_type, objects)) or _aws_type(headers.get("x-amzn-errortype", "")),
        code=_first(_word(item.get("code") or item.get("error_code")) for item in objects),
        param=_first(_word(item.get("param")) for item in objects),
        reasons=tuple(dict.fromkeys(word for item in objects for word in _reasons(item))),
        status_code_in_body=_first(map(_status, objects)),
        retry_after=_retry_after(status, headers, errors, now),
        request_id=_request_id(headers, objects),
        body=value,
    )


def _decoded(body: bytes) -> Any:
    if body.lstrip().startswith((b"data:", b"event:", b"error:")):
        events = SSE()
        data = [data for _, data in (*events.feed(body), *events.finish()) if data != b"[DONE]"]
        body = data[-1] if data else body
    try:
        return loads(body)
    except JsonError:
        return body.decode("utf-8", "replace").strip()


# --- the objects that hold facts -----------------------------------------------------------------


def _errors(value: Any, depth: int = 0) -> list[dict[str, Any]]:
    """The error object of a body, then the errors that are quoted inside of it."""
    if isinstance(value, list):
        value = next((item for item in value if isinstance(item, dict)), None)
    if not isinstance(value, dict) or depth > _DEEPEST:
        return []
    for key in ("error", "response", "detail"):
        error = value.get(key)
        if isinstance(error, dict) and (key != "response" or error.get("error")):
            break
    else:
        return _quoted(value.get("error"), depth) or [
            value,
            *_quoted(value.get("message"), depth),
        ]
    if key == "response":
        return _errors(error, depth + 1)
    metadata = error.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    quoted = _quoted(raw, depth) or [{"message": raw}]
    return [error, *_quoted(error.get("message"), depth), *quoted]


def _quoted(value: Any, depth: int) -> list[dict[str, Any]]:
    if isinstance(value, str) and value.lstrip().startswith(("{", "[")):
        try:
            value = loads(value)
        except JsonError:
            return []
    return _errors(value, depth + 1)


def _listed(value: Any) -> Iterator[dict[str, Any]]:
    """The body itself, and what its `errors` list."""
    if isinstance(value, dict):
        yield value
        listed = value.get("errors")
        yield from filter(_is_object, listed if isinstance(listed, list) else ())


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _details(item: dict[str, Any]) -> Iterator[dict[str, Any]]:
    details = item.get("details")
    yield from filter(_is_object, details if isinstance(details, list) else ())


def _first(found: Iterable[T | None]) -> T | None:
    return next((item for item in found if item), None)


# --- the message ---------------------------------------------------------------------------------

_MESSAGE_KEYS = (
    "message", "Message", "error_description", "detail", "error", "errors", "error_message", "msg",
    "details", "title",
)  # fmt: skip


def _message(objects: Iterable[dict[str, Any]]) -> str:
    said: list[str] = []
    for item in objects:
        text = _first(_text(item.get(key)) for key in _MESSAGE_KEYS)
        if text and text not in said:
            said.append(text)
    return ": ".join(said)


def _text(value: Any, depth: int = 0) -> str:
    """The words of a message: a string, an object that has one, or a list of them.

    Pages and JSON are no words.
    """
    if depth > _DEEPEST:
        return ""
    if isinstance(value, str):
        return "" if _is_page(value) or _quoted(value, 0) else value.strip()
    if isinstance(value, list):
        return "; ".join(filter(None, (_text(item, depth + 1) for item in value)))
    if isinstance(value, dict):
        text = _first(_text(value.get(key), depth + 1) for key in _MESSAGE_KEYS) or ""
        where = value.get("loc")
        if text and isinstance(where, list):
            return f"{'.'.join(map(str, where))}: {text}"
        return text
    return ""


def _is_page(text: str) -> bool:
    return re.match(r"\s*<[!?a-z]", text, re.IGNORECASE) is not None


def _plain_message(value: Any, status: int, host: str) -> str:
    """What is said where no object has a message."""
    said = f"HTTP {status} from {host}" if host else f"HTTP {status}"
    if isinstance(value, str):
        return said if not value or _is_page(value) else value[:_TEXT_LIMIT]
    return f"{said}: {dumps_text(value)[:_TEXT_LIMIT]}" if value else said


# --- codes ---------------------------------------------------------------------------------------


def _word(value: Any) -> str | None:
    if isinstance(value, str):
        return value if value.strip() else None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) and value else None


def _type(item: dict[str, Any]) -> str | None:
    """The kind of error; "error" only says that it is one."""
    keys = ["type", "__type", "error_type", "status"]
    if any(item.get(key) for key in _MESSAGE_KEYS[:4]):
        keys.append("error")
    words = (item.get(key) for key in keys)
    return _first(_aws_name(word) for word in words if isinstance(word, str) and word != "error")


def _aws_name(word: str) -> str:
    """`ValidationException` of `com.amazon#ValidationException:http://internal...`."""
    found = re.fullmatch(r"(?:[\w.]+#)?(\w*(?:Exception|Error|Fault))(?::.*)?", word.strip())
    return found[1] if found else word


def _aws_type(header: str) -> str | None:
    """The same of the header, where the name may be any word."""
    return header.partition(":")[0].rpartition("#")[2].strip() or None


def _reasons(item: dict[str, Any]) -> Iterator[str]:
    """Codes that stand deeper: Google's `details[].reason`, Azure's `innererror.code`."""
    for detail in _details(item):
        if word := _word(detail.get("reason")):
            yield word
    for key in ("innererror", "metadata"):
        inner = item.get(key)
        if isinstance(inner, dict):
            yield from filter(None, (_word(inner.get("code")), _word(inner.get("error_type"))))


def _status(item: dict[str, Any]) -> int | None:
    for key in ("code", "status_code", "status", "statusCode", "http_status"):
        if re.fullmatch(r"[45][0-9][0-9]", word := _word(item.get(key)) or ""):
            return int(word)
    return None


# --- when to come back, and whom to ask ----------------------------------------------------------


def _retry_after(
    status: int, headers: Mapping[str, str], errors: list[dict[str, Any]], now: float
) -> float | None:
    said = retry_after(headers, now=now)
    if said is None:
        said = next((delay for error in errors if (delay := _delay(error)) is not None), None)
    if said is None and status == 429:
        return until_reset(headers, now=now)
    return said


def _delay(error: dict[str, Any]) -> float | None:
    """Google's `{"@type": ".../google.rpc.RetryInfo", "retryDelay": "34.4s"}`."""
    for detail in _details(error):
        delay = detail.get("retryDelay")
        if isinstance(delay, str):
            return number(delay.removesuffix("s"))
    return None


def _request_id(headers: Mapping[str, str], objects: list[dict[str, Any]]) -> str | None:
    in_headers = _first(headers.get(name) for name in _REQUEST_IDS)
    in_body = (_word(item.get(key)) for item in objects for key in ("request_id", "requestId"))
    return in_headers or _first(in_body)
