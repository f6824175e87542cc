"""Writes AWS event streams: the other side of `beluga_llm.plugin.AwsEventStream`."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from zlib import crc32

AWS_EVENTS = "application/vnd.amazon.eventstream"


def aws_message(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One binary message, with its checksums; all headers are strings."""
    head = b"".join(_header(name, value) for name, value in headers.items())
    prelude = struct.pack(">II", 16 + len(head) + len(payload), len(head))
    message = prelude + struct.pack(">I", crc32(prelude)) + head + payload
    return message + struct.pack(">I", crc32(message))


def aws_event(kind: str, payload: bytes) -> bytes:
    """An event of JSON data."""
    facts = {":message-type": "event", ":event-type": kind, ":content-type": "application/json"}
    return aws_message(facts, payload)


def aws_exception(kind: str, payload: bytes) -> bytes:
    """An exception inside of a stream."""
    facts = {
        ":message-type": "exception",
        ":exception-type": kind,
        ":content-type": "application/json",
    }
    return aws_message(facts, payload)


def _header(name: str, value: str) -> bytes:
    text = value.encode()
    return bytes((len(name),)) + name.encode() + b"\x07" + struct.pack(">H", len(text)) + text
