"""Reading the body of an answer within its limits of time: whole, or piece by piece."""

from __future__ import annotations

import asyncio

from beluga_llm._errors import BelugaError, ConnectionFailedError
from beluga_llm._http.limits import ReadLimits
from beluga_llm._http.reader import AnswerReader
from beluga_llm._http.wire import Response

_JSON = "application/json"


def is_json(response: Response) -> bool:
    """Whether an answer says that it is one JSON text."""
    kind = response.headers.get("content-type", "")
    return kind == _JSON or kind.partition(";")[0].strip().lower() == _JSON


async def read_all(
    response: Response, limits: ReadLimits, pieces: list[bytes]
) -> ConnectionFailedError | None:
    """Reads a whole body into `pieces`, or as much of it as comes; gives how it broke if it did."""
    time = asyncio.get_running_loop().time
    try:
        while True:
            limits.check_total(now := time())
            data = await response.read(limits.until(now))
            if not data:
                return None
            pieces.append(data)
    except ConnectionFailedError as error:
        return error
    except BelugaError:
        raise
    except TimeoutError:
        raise limits.expired() from None


async def read_next(
    response: Response, until: float | None, limits: ReadLimits, reader: AnswerReader
) -> tuple[bytes, ConnectionFailedError | None]:
    """The next bytes; none at the end, with how it broke if it did."""
    try:
        return await response.read(until), None
    except ConnectionFailedError as error:
        return b"", error
    except BelugaError:
        raise
    except TimeoutError:
        if reader.ended:  # all was said; the server only keeps the connection open
            return b"", None
        raise limits.expired() from None
