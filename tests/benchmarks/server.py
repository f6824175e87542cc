"""A server that costs next to nothing: ready-made bytes, in a process of its own.

    python server.py    prints its port, then serves until it is killed.

It speaks chat completions, and Anthropic's messages under `/messages`. The model name of the
request says what is answered:

    whole       one JSON body
    burst-N     a stream of N chunks of text in one write
    tools-N     a stream of N fragments of one tool call in one write
    single-N    a stream of N chunks, each written alone, a millisecond apart
    paced-N     the same, 10 ms apart; each text is the time of its writing, in nanoseconds
    open        a stream of one chunk that does not end
"""

from __future__ import annotations

import asyncio
import re
import time

WHOLE = {
    b"chat": (
        b'{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"whole","choices":[{'
        b'"index":0,"message":{"role":"assistant","content":"The answer is four."},'
        b'"finish_reason":"stop"}],'
        b'"usage":{"prompt_tokens":12,"completion_tokens":5,"total_tokens":17}}'
    ),
    b"messages": (
        b'{"id":"msg_1","type":"message","role":"assistant","model":"whole","content":[{"type":'
        b'"text","text":"The answer is four."}],"stop_reason":"end_turn","stop_sequence":null,'
        b'"usage":{"input_tokens":12,"output_tokens":5}}'
    ),
}
BEGIN = {
    b"chat": b"",
    b"messages": (
        b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","type":'
        b'"message","role":"assistant","model":"m","content":[],"stop_reason":null,'
        b'"stop_sequence":null,"usage":{"input_tokens":12,"output_tokens":1}}}\n\n'
        b'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
        b'"content_block":{"type":"text","text":""}}\n\n'
    ),
}
_FRAME = (
    b'data: {"id":"chatcmpl-Bo9sGILXyfGpa8VDADlC9eDdx4eYG","object":"chat.completion.chunk",'
    b'"created":1751294056,"model":"gpt-4o-mini-2024-07-18","service_tier":"default",'
    b'"system_fingerprint":"fp_1234567890","choices":[{"index":0,"delta":%s,'
    b'"logprobs":null,"finish_reason":%s}]}\n\n'
)
CHUNK = {
    b"chat": _FRAME % (b'{"content":"%s"}', b"null"),
    b"messages": (
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":'
        b'{"type":"text_delta","text":"%s"}}\n\n'
    ),
}
_BEGUN = (
    b'{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":'
    b'{"name":"search","arguments":""}}]}'
)
CALL = _FRAME % (_BEGUN, b"null")
FRAGMENT = _FRAME % (
    b'{"tool_calls":[{"index":0,"function":{"arguments":" word"}}]}',
    b"null",
)
END = {
    b"chat": _FRAME % (b"{}", b'"stop"') + b"data: [DONE]\n\n",
    b"messages": (
        b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n'
        b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn",'
        b'"stop_sequence":null},"usage":{"output_tokens":5}}\n\n'
        b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
    ),
}
GAPS = {b"single": 0.001, b"paced": 0.01}
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)


def with_head(kind: bytes, body: bytes) -> bytes:
    """A whole good answer."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\ncontent-length: %d\r\n\r\n"
    return head % (kind, len(body)) + body


def at_once(wire: bytes, name: bytes, number: int) -> bytes:
    """The bytes of an answer that is written at once."""
    if name == b"tools":
        return with_head(b"text/event-stream", CALL + FRAGMENT * number + END[wire])
    if name == b"burst":
        chunks = (CHUNK[wire] % b" word") * number
        return with_head(b"text/event-stream", BEGIN[wire] + chunks + END[wire])
    return with_head(b"application/json", WHOLE[wire])


def piece(data: bytes) -> bytes:
    """One piece of a chunked body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


class Answers(asyncio.Protocol):
    """Answers each request on a connection."""

    ready: dict[tuple[bytes, bytes], bytes] = {}
    writing: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the way back."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        """Answers as soon as a request is whole."""
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            found = re.search(rb"content-length: (\d+)", self.buffer[:end], re.IGNORECASE)
            size = end + 4 + (int(found[1]) if found else 0)
            if len(self.buffer) < size:
                return
            request, self.buffer = self.buffer[:size], self.buffer[size:]
            self.answer(request)

    def answer(self, request: bytes) -> None:
        """Writes the answer to a request, or begins to."""
        wire = b"messages" if b"/messages" in request[:60] else b"chat"
        model = re.search(rb'"model":\s?"([^"]+)"', request)
        name, _, number = (model[1] if model else b"whole").partition(b"-")
        if name in GAPS or name == b"open":
            task = asyncio.ensure_future(self.write(wire, name, int(number or b"1")))
            self.writing.add(task)
            task.add_done_callback(self.writing.discard)
            return
        key = wire, b"%s-%s" % (name, number)
        if key not in self.ready:
            self.ready[key] = at_once(wire, name, int(number or b"0"))
        self.transport.write(self.ready[key])

    async def write(self, wire: bytes, name: bytes, number: int) -> None:
        """Writes a stream piece by piece, at fixed times."""
        write, time_of = self.transport.write, asyncio.get_running_loop().time
        write(STREAM_HEAD + (piece(BEGIN[wire]) if BEGIN[wire] else b""))
        begun = time_of()
        for at in range(1, number + 1):
            text = b"%d" % time.monotonic_ns() if name == b"paced" else b" word"
            write(piece(CHUNK[wire] % text))
            if name == b"open" or self.transport.is_closing():
                return
            await asyncio.sleep(max(0.0, begun + at * GAPS[name] - time_of()))
        write(piece(END[wire]) + b"0\r\n\r\n")


async def main() -> None:
    """Serves until killed."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Answers, "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
