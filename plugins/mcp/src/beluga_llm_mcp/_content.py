"""Results of MCP tools as what a tool message holds: pure.

https://modelcontextprotocol.io/specification/2025-11-25/server/tools#tool-result
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import mcp_types

from beluga_llm import AudioPart, ContentPart, FilePart, ImagePart, TextPart, VideoPart

_AUDIO: Mapping[str, Any] = {
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/flac": "flac",
    "audio/ogg": "ogg",
    "audio/opus": "opus",
    "audio/aac": "aac",
    "audio/mp4": "m4a",
    "audio/m4a": "m4a",
}


def to_content(result: mcp_types.CallToolResult) -> str | list[ContentPart]:
    """The result for a model: one text where there is nothing but text, else parts in order.

    Structured content is shown as JSON, unless the text says the same, as servers should have it.
    """
    parts = [part for block in result.content for part in _parts(block)]
    structured = result.structured_content
    if structured is not None and not _says(_texts(parts), structured):
        parts.append(TextPart(json.dumps(structured, ensure_ascii=False)))
    texts = _texts(parts)
    return "\n".join(texts) if len(texts) == len(parts) else parts


def _texts(parts: Iterable[ContentPart]) -> list[str]:
    return [part.text for part in parts if isinstance(part, TextPart)]


def _parts(block: mcp_types.ContentBlock) -> Iterator[ContentPart]:
    if isinstance(block, mcp_types.TextContent):
        yield TextPart(block.text)
    elif isinstance(block, mcp_types.ImageContent | mcp_types.AudioContent):
        yield _media(block.data, block.mime_type)
    elif isinstance(block, mcp_types.ResourceLink):
        about = f" ({block.description})" if block.description else ""
        yield TextPart(f"{block.title or block.name}: {block.uri}{about}")
    elif isinstance(block.resource, mcp_types.TextResourceContents):
        yield TextPart(block.resource.text)
    else:
        found = block.resource
        yield _media(found.blob, found.mime_type or "application/octet-stream", found.uri)


def _media(data: str, mime_type: str, uri: str = "") -> ContentPart:
    """Bytes in the part that suits their type."""
    kind = mime_type.partition(";")[0].strip().lower()
    name = uri.rpartition("/")[2] or None
    try:
        content = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return TextPart(f"[{kind} that cannot be read]")
    if kind.startswith("image/"):
        return ImagePart(data=content, mime_type=kind)
    if kind in _AUDIO:
        return AudioPart(data=content, format=_AUDIO[kind])
    if kind.startswith("video/"):
        return VideoPart(data=content, mime_type=kind)
    return FilePart(data=content, mime_type=kind, name=name)


def _says(texts: list[str], structured: Any) -> bool:
    """Whether the texts are the structured content; Python servers wrap what is no object."""
    values = [_value(text) for text in texts]
    wanted = [structured]
    if isinstance(structured, dict) and structured.keys() == {"result"}:
        wanted.append(structured["result"])
    return any(one in (*texts, *values) or one in (texts, values) for one in wanted)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
