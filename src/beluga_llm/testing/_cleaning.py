"""Keeping secrets out of recordings.

Three nets, one behind the other. What goes where credentials go is left out: of headers and
queries only those on a list are kept. What was found there, and what the caller names, is hidden
wherever else it stands, also where an answer repeats it, cut into pieces or in base64. What looks
like a key of a known vendor is hidden too.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from beluga_llm import _json
from beluga_llm._http.outgoing import secret_values
from beluga_llm._redaction import HIDDEN, Secrets, _spellings, public_url

_KEPT_HEADERS = re.compile(
    r"""accept | content-type | anthropic-(version|beta) | openai-(beta|version|processing-ms)
    | retry-after(-ms)? | x-should-retry | .*ratelimit-.* | (x-|apim-|x-ms-)?request-id
    | x-amzn-(requestid|errortype|bedrock-.*)""",
    re.VERBOSE,
)
_HARMLESS_HEADERS = re.compile(
    r"user-agent|accept-.*|content-.*|host|connection|idempotency-key|x-amz-(date|content-sha256)"
)
_KEPT_QUERY = frozenset(("alt", "api-version", "beta"))
_KEY_HEADERS = frozenset(("authorization", "x-api-key", "api-key", "x-goog-api-key"))
_SHORT_KEY = 4
_SHORT_BASE64 = 8
_URL_SAFE = str.maketrans("+/", "-_")
_HEADER_FIELDS = frozenset(("headers", "extra_headers"))
_TELLING = re.compile(
    r"(x[-_]|proxy[-_])?(api[-_]?key|(access|refresh|id|bearer|auth|session|security)[-_]?token"
    r"|authorization([-_]token)?|token|password|passwd|secret|client[-_]secret"
    r"|secret[-_]access[-_]key|credentials?|cookie|set-cookie)",
    re.IGNORECASE,
)
_SHAPES = re.compile(
    r"""(?<![\w/+-]) (?:
      sk-[A-Za-z0-9_-]{16,}                       # OpenAI, Anthropic, and those who copy them
    | (?:gsk|xai|pplx|hf|nvapi|csk|fw|tgp|r8)[_-][A-Za-z0-9_-]{16,}
    | AIza[A-Za-z0-9_-]{30,} | ya29\.[A-Za-z0-9_.-]{16,}        # Google
    | (?:AKIA|ASIA)[A-Z0-9]{16}                                 # AWS
    | eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}  # JSON web tokens
    )
    | (?<=[Bb]earer\ )[A-Za-z0-9._~+/-]{12,}=*
    | (?<=Signature=)[0-9a-f]{64}""",
    re.VERBOSE,
)


class Cleaner:
    """Hides secrets in what is recorded.

    Args:
        secrets: those that are known.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = Secrets(secrets)
        spellings = _spellings(self._secrets)
        spellings += [text.encode("utf-8", "surrogatepass").decode("latin-1") for text in spellings]
        spellings += [text for secret in self._secrets for text in _in_base64(secret)]
        literal = "|".join(map(re.escape, sorted(set(spellings), key=len, reverse=True)))
        self._literal = re.compile(literal) if literal else None

    @classmethod
    def of_request(
        cls, url: str, headers: Mapping[str, str], secrets: Iterable[str] = ()
    ) -> Cleaner:
        """One that knows what stands in a request where credentials stand."""
        low = {name.lower(): value for name, value in headers.items()}
        given = {name: text for name, text in low.items() if not _is_harmless(name)}
        query = parse_qsl(urlsplit(url).query)
        found = secret_values(
            given, {name: text for name, text in query if name not in _KEPT_QUERY}
        )
        for name in _KEY_HEADERS & set(low):
            scheme, _, token = low[name].partition(" ")
            texts = (low[name], token, _password(token) if scheme.lower() == "basic" else "")
            found |= {text for text in texts if len(text) >= _SHORT_KEY}
        return cls({*found, *secrets})

    def text(self, text: str) -> str:
        """A text without secrets."""
        return self.pieces([text])[0]

    def pieces(self, pieces: Sequence[str]) -> list[str]:
        """The pieces of one text without the secrets in it, also those that a cut divides."""
        whole = "".join(pieces)
        spans = [found.span() for found in _SHAPES.finditer(whole)]
        spans += [found.span() for found in self._literal.finditer(whole)] if self._literal else []
        return _replaced(pieces, [(start, end, HIDDEN) for start, end in _merged(spans)])

    def chunks(self, chunks: Sequence[bytes]) -> list[bytes]:
        """The pieces of a body without the secrets in it, also those that its events divide."""
        texts = self.pieces([chunk.decode("latin-1") for chunk in chunks])
        return [text.encode("latin-1") for text in self._frames(texts)]

    def rows(self, rows: Sequence[Any]) -> set[int]:
        """Hides secrets in JSON values, also those that are spread over several of them.

        A text that continues in the next value stands at the same place there.

        Returns:
            The numbers of the values that were changed.
        """
        leaves: dict[tuple[Any, ...], list[tuple[int, str]]] = {}
        for number, value in enumerate(rows):
            for path, text in _strings(value):
                leaves.setdefault(path, []).append((number, text))
        changed = set()
        for path, found in leaves.items():
            texts = self.pieces([text for _, text in found])
            for (number, old), new in zip(found, texts, strict=True):
                if new != old:
                    _put(rows[number], path, new)
                    changed.add(number)
        return changed

    def data(self, value: Any, *, names: bool = True) -> Any:
        """JSON-like data without secrets.

        Args:
            value: the data.
            names: hide also what has a telling name, such as "api_key"; for what is sent. (In
                answers a "token" is a word.)
        """
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {
                self.text(str(key)): _hidden(item)
                if names and _is_telling(str(key), item)
                else self.data(item, names=names)
                for key, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [self.data(item, names=names) for item in value]
        return value

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """The headers that say something of the API, and nothing of who asks."""
        low = {name.lower(): value for name, value in headers.items()}
        return {name: self.text(low[name]) for name in sorted(low) if _KEPT_HEADERS.fullmatch(name)}

    def url(self, url: str) -> str:
        """An address without credentials, and with the values of its query hidden."""
        query = [
            (name, value if name in _KEPT_QUERY else HIDDEN)
            for name, value in parse_qsl(urlsplit(url).query)
        ]
        return self.text(public_url(url)) + ("?" + urlencode(query, safe="*") if query else "")

    def _frames(self, pieces: list[str]) -> list[str]:
        """The same with those hidden that are spread over the strings of several JSON lines."""
        lines = list(_json_lines("".join(pieces)))
        spans = []
        for number in self.rows([value for *_, value in lines]):
            start, end, mark, value = lines[number]
            spans.append((start, end, mark + _json.dumps(value).decode("latin-1")))
        return _replaced(pieces, spans)


def _is_harmless(name: str) -> bool:
    return bool(_KEPT_HEADERS.fullmatch(name) or _HARMLESS_HEADERS.fullmatch(name))


def named_secrets(value: Any) -> set[str]:
    """What stands in JSON-like data under a name that says that it is secret."""
    if isinstance(value, list | tuple):
        return set().union(*map(named_secrets, value))
    if not isinstance(value, Mapping):
        return set()
    found = set()
    for key, item in value.items():
        name = str(key)
        if not _is_telling(name, item):
            found |= named_secrets(item)
        elif isinstance(item, Mapping):
            texts = {str(one): text for one, text in item.items() if isinstance(text, str)}
            found |= secret_values({k: v for k, v in texts.items() if not _is_harmless(k.lower())})
        else:
            found |= secret_values({f"authorization {name}": item})
    return found


def _is_telling(name: str, value: Any) -> bool:
    """Whether the name of a field says that its value is secret."""
    if isinstance(value, Mapping):
        return name.lower() in _HEADER_FIELDS
    return isinstance(value, str) and bool(_TELLING.fullmatch(name))


def _hidden(value: Any) -> Any:
    return dict.fromkeys(map(str, value), HIDDEN) if isinstance(value, Mapping) else HIDDEN


def _password(token: str) -> str:
    """The password in the token of basic authorization; "" where there is none."""
    try:
        return b64decode(token).decode("utf-8", "replace").partition(":")[2]
    except ValueError:
        return ""


def _in_base64(secret: str) -> Iterable[str]:
    """What base64 makes of a secret, at the three places of a group where it may begin.

    The characters that a neighbour takes part in are left out. Of a short secret too little is
    left to tell it from a word.
    """
    data = secret.encode("utf-8", "surrogatepass")
    for before in range(3):
        shared = -(-before * 8 // 6)
        whole = b64encode(bytes(before) + data).decode()[shared : (before + len(data)) * 8 // 6]
        if len(whole) >= _SHORT_BASE64:
            yield from {whole, whole.translate(_URL_SAFE)}


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The spans with those that overlap made one."""
    found: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if found and start < found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((start, end))
    return found


def _replaced(pieces: Sequence[str], spans: Iterable[tuple[int, int, str]]) -> list[str]:
    """The pieces with parts of their text replaced; a part belongs to the piece it begins in."""
    characters: list[str] | None = None
    for start, end, new in spans:
        if characters is None:
            characters = list("".join(pieces))
        characters[start:end] = [new, *[""] * (end - start - 1)]
    if characters is None:
        return list(pieces)
    found, at = [], 0
    for piece in pieces:
        found.append("".join(characters[at : at + len(piece)]))
        at += len(piece)
    return found


_LINE = re.compile(r"^(data: ?|)(\{.*\})\r?$", re.MULTILINE)


def _json_lines(text: str) -> Iterable[tuple[int, int, str, Any]]:
    """The lines of a body that are JSON: where, what stands before it, and its value."""
    for found in _LINE.finditer(text):
        try:
            value = _json.loads(found[2].encode("latin-1"))
        except _json.JsonError:
            continue
        yield found.start(), found.end(2), found[1], value


def _strings(value: Any, path: tuple[Any, ...] = ()) -> Iterable[tuple[tuple[Any, ...], str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _strings(item, (*path, key))


def _put(value: Any, path: tuple[Any, ...], text: str) -> None:
    for key in path[:-1]:
        value = value[key]
    value[path[-1]] = text
