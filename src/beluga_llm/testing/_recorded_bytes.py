"""Answers of real providers, byte for byte: recorded once, replayed without a network.

    model = llm.create("openai/gpt-4o-mini", transport=record_bytes("answers.json"))   # once
    model = llm.create("openai/gpt-4o-mini", api_key="test-key", transport=replay("answers.json"))

Theory of operation. Both are transports, so that everything above the network runs as it does in
earnest: encoding, framing, decoding, errors. The pieces in which an answer came are kept; a replay
cuts it anew at random, for no provider promises where its pieces end.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import sys
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from beluga_llm import _json
from beluga_llm._environment import variable
from beluga_llm._errors import BelugaError, ConfigError, ConnectionFailedError
from beluga_llm._http.transport import AiohttpTransport
from beluga_llm._http.wire import Response, Transport, WireRequest
from beluga_llm.testing._cleaning import Cleaner, named_secrets
from beluga_llm.testing._error_json import error_data, error_of
from beluga_llm.testing._tape import Entry, Tape, TapeWriter

KIND = "bytes"
_SEED = "BELUGA_REPLAY_SEED"
_MOST_CUTS = 64


class RecordingTransport:
    """What `record_bytes` gives."""

    def __init__(self, tape: TapeWriter, transport: Transport, secrets: Iterable[str]) -> None:
        self._tape, self._transport, self._secrets = tape, transport, set(secrets)

    async def request(self, request: WireRequest, *, until: float | None) -> Response:
        """Sends a request, and records what comes of it."""
        place = self._tape.begin()
        body = _loaded(request.body)
        secrets = named_secrets(body) | self._secrets
        cleaner = Cleaner.of_request(request.url, request.headers, secrets)
        entry: Entry = {"request": _request(request, body, cleaner)}
        try:
            response = await self._transport.request(request, until=until)
        except BelugaError as error:
            self._tape.put(place, {**entry, "error": cleaner.data(error_data(error), names=False)})
            raise
        except TimeoutError:
            self._tape.put(place, {**entry, "error": {"class": "TimeoutError"}})
            raise
        return _Recorded(
            response, lambda answer: self._tape.put(place, {**entry, **answer}), cleaner
        )

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._transport.aclose()


class _Recorded:
    """A response that is written down when it ends, however it ends."""

    def __init__(self, response: Response, put: Any, cleaner: Cleaner) -> None:
        self._response, self._put, self._cleaner = response, put, cleaner
        self._chunks: list[bytes] = []
        self._ended = False
        self.status, self.headers = response.status, response.headers

    async def read(self, until: float | None) -> bytes:
        """The next bytes."""
        try:
            data = await self._response.read(until)
        except TimeoutError:
            self._end("timeout")
            raise
        except ConnectionFailedError:
            self._end("broken")
            raise
        if data:
            self._chunks.append(data)
        else:
            self._end("complete")
        return data

    def close(self) -> None:
        """Gives the connection back."""
        self._response.close()
        self._end("left")

    def _end(self, how: str) -> None:
        if self._ended:
            return
        self._ended = True
        chunks = self._cleaner.chunks(self._chunks)
        answer = {
            "status": self.status,
            "headers": self._cleaner.headers(self.headers),
            "chunks": [_text(chunk) for chunk in chunks if chunk],
            "end": how,
        }
        self._put({"response": answer})


class ReplayTransport:
    """What `replay` gives.

    Attributes:
        seed: what the places of the cuts were chosen by.
    """

    def __init__(self, tape: Tape, *, seed: int | None) -> None:
        self._tape = tape
        self.seed = seed

    @property
    def unused(self) -> int:
        """How many recorded answers nobody has asked for yet."""
        return len(self._tape.unused)

    def assert_exhausted(self) -> None:
        """Fails unless every recorded answer was used.

        Raises:
            ReplayError: some were not.
        """
        self._tape.assert_exhausted()

    async def request(self, request: WireRequest, *, until: float | None) -> Response:
        """The recorded answer; fails as the recorded request did."""
        body = _loaded(request.body)
        cleaner = Cleaner.of_request(request.url, request.headers, named_secrets(body))
        place, entry = self._tape.take(_request(request, body, cleaner))
        await asyncio.sleep(0)
        if (error := entry.get("error")) is not None:
            raise error_of(error)
        answer = entry["response"]
        chunks = [_bytes(chunk) for chunk in answer["chunks"]]
        if self.seed is not None:
            chunks = cut_at_random(b"".join(chunks), random.Random(f"{self.seed}:{place}"))  # noqa: S311 -- no secret
        return _Replayed(answer, chunks)

    async def aclose(self) -> None:
        """Does nothing."""

    def __repr__(self) -> str:
        return f"<replay of {self._tape!r}, seed {self.seed}>"


class _Replayed:
    def __init__(self, answer: Mapping[str, Any], chunks: Sequence[bytes]) -> None:
        self.status: int = answer["status"]
        self.headers: Mapping[str, str] = answer["headers"]
        self._end: str = answer["end"]
        self._chunks = list(reversed(chunks))

    async def read(self, until: float | None) -> bytes:
        """The next bytes."""
        await asyncio.sleep(0)
        if self._chunks:
            return self._chunks.pop()
        if self._end == "timeout":
            raise TimeoutError("the recorded answer stalled here")
        if self._end == "broken":
            raise ConnectionFailedError("connection broke, as it did when it was recorded")
        if self._end == "left":
            raise ConnectionFailedError("the recording ends here: its client had left")
        return b""

    def close(self) -> None:
        """Does nothing."""


def record_bytes(
    path: str | os.PathLike[str],
    *,
    transport: Transport | None = None,
    secrets: Iterable[str] = (),
) -> RecordingTransport:
    """A transport that writes requests and answers to a file; pass it as `transport=` to `create`.

    Of headers and query only what says nothing of who asks is kept. Keys are hidden in bodies
    too, also where an answer repeats them.

    Args:
        path: the file; an existing one is replaced.
        transport: what carries the requests; by default the usual one.
        secrets: more texts that must not stand in the file.
    """
    return RecordingTransport(TapeWriter(path, KIND), transport or AiohttpTransport(), secrets)


def replay(
    path: str | os.PathLike[str],
    *,
    strict: bool = True,
    recut: bool = True,
    seed: int | None = None,
) -> ReplayTransport:
    """A transport that answers from a file of `record_bytes`; pass it as `transport=` to `create`.

    The bytes of answers are cut anew at random; how to cut them the same way again is written to
    stderr, which pytest shows with a test that fails.

    Args:
        path: the file.
        strict: answer only requests that are equal to recorded ones, by path and body; False:
            answer in the recorded order, whatever is asked.
        recut: False keeps the pieces as they were recorded.
        seed: chooses the places of the cuts; by default $BELUGA_REPLAY_SEED, else at random.

    Raises:
        ConfigError: the file cannot be read, or is no such recording.
    """
    tape = Tape(path, KIND, strict=strict, key=_key)
    if not recut:
        return ReplayTransport(tape, seed=None)
    chosen = _chosen_seed() if seed is None else seed
    sys.stderr.write(
        f"replay of {tape.path.name}: cut at random; the same again with seed={chosen} "
        f"or {_SEED}={chosen}\n"
    )
    return ReplayTransport(tape, seed=chosen)


def cut_at_random(data: bytes, source: random.Random) -> list[bytes]:
    """The data in pieces of random lengths: sometimes single bytes, sometimes all at once."""
    most = min(len(data) - 1, _MOST_CUTS)
    if most < 1:
        return [data] if data else []
    places = sorted(source.sample(range(1, len(data)), source.randint(0, most)))
    borders = [0, *places, len(data)]
    return [data[start:end] for start, end in itertools.pairwise(borders)]


def _chosen_seed() -> int:
    text = variable(_SEED)
    if text is None:
        return random.SystemRandom().randrange(2**32)
    try:
        return int(text)
    except ValueError:
        raise ConfigError(f"{_SEED} must be a whole number, got {text!r}") from None


def _request(request: WireRequest, body: Any, cleaner: Cleaner) -> dict[str, Any]:
    return {
        "method": request.method,
        "url": cleaner.url(request.url),
        "headers": cleaner.headers(request.headers),
        "body": cleaner.data(body),
    }


def _loaded(body: bytes | None) -> Any:
    """What is sent; all wire formats send JSON."""
    try:
        return _json.loads(body) if body else None
    except _json.JsonError:
        return _text(body or b"")


def _key(request: Mapping[str, Any]) -> dict[str, Any]:
    """What must be equal: not the host, and no header, for these say who asks."""
    path = urlsplit(request["url"]).path
    return {"method": request["method"], "path": path, "body": request["body"]}


def _text(data: bytes) -> Any:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": b64encode(data).decode()}


def _bytes(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else b64decode(value["base64"])
