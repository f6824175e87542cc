"""Parts as content blocks of Converse.

Media are bytes, or objects in S3 by their `s3://` URL; nothing is downloaded, and what the API
cannot take is noted. A part's `metadata` may carry `cache_control`, which becomes a cache point
after its block; `bucketOwner` for objects in S3; and for documents `citations` and `context`.

Source: "ContentBlock", "DocumentBlock", "CachePointBlock" of the Amazon Bedrock API reference.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from beluga_llm import AudioPart, ContentPart, FilePart, ImagePart, TextPart, VideoPart
from beluga_llm.plugin import Notes, base64_text

Block: TypeAlias = dict[str, Any]
Media: TypeAlias = AudioPart | FilePart | ImagePart | VideoPart

_IMAGES = ("png", "jpeg", "gif", "webp")
_DOCUMENTS = {
    "application/pdf": "pdf",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/csv": "csv",
    "text/html": "html",
    "text/markdown": "md",
    "text/plain": "txt",
}
_VIDEOS = {
    "video/3gpp": "three_gp",
    "video/mp4": "mp4",
    "video/mpeg": "mpeg",
    "video/quicktime": "mov",
    "video/webm": "webm",
    "video/x-flv": "flv",
    "video/x-matroska": "mkv",
    "video/x-ms-wmv": "wmv",
}
_FORMATS: Mapping[str, Mapping[str, str]] = {
    "image": {"image/jpg": "jpeg", **{f"image/{name}": name for name in _IMAGES}},
    "document": _DOCUMENTS,
    "video": _VIDEOS,
    "audio": {"pcm16": "pcm", **{name: name for name in ("wav", "mp3", "flac", "opus", "aac",
                                                         "m4a", "ogg")}},
}  # fmt: skip
_NAME_LIMIT = 200
_REFUSED_IN_NAMES = re.compile(r"[^A-Za-z0-9\s()\[\]-]+")
_SPACES = re.compile(r"\s+")


class BlockEncoder:
    """Makes blocks of parts, for all messages of one request."""

    def __init__(self, notes: Notes) -> None:
        self.notes = notes
        self._names: set[str] = set()

    def content(self, parts: tuple[ContentPart, ...]) -> Iterator[Block]:
        """The blocks of what a user says, with cache points."""
        for part in parts:
            if (block := self._block(part)) is not None:
                yield block
                yield from cache_points(part)

    def results(self, parts: tuple[ContentPart, ...]) -> list[Block]:
        """The blocks of what a tool answers, which have no cache points and no sound."""
        for part in parts:
            if isinstance(part, AudioPart):
                self._note(part, "in results of tools")
        kept = (part for part in parts if not isinstance(part, AudioPart))
        return [block for part in kept if (block := self._block(part)) is not None]

    def text(self, part: TextPart) -> Block | None:
        """A text block; None for blank text, which the API refuses."""
        if part.signature:
            self.notes.foreign(part)
        return {"text": part.text} if part.text and not part.text.isspace() else None

    def _block(self, part: ContentPart) -> Block | None:
        if isinstance(part, TextPart):
            return self.text(part)
        if isinstance(part, AudioPart):
            return self._media(part, "audio", part.format)
        if isinstance(part, FilePart | ImagePart | VideoPart):
            mime_type = part.mime_type or ""
            return self._media(part, _kind(part, mime_type), mime_type)
        self.notes.part(part)
        return None

    def _media(self, part: Media, kind: str, mime_type: str) -> Block | None:
        formats = _FORMATS[kind]
        form = formats.get(mime_type) or (mime_type if mime_type in formats.values() else None)
        if form is None and kind == "document" and mime_type.startswith("text/"):
            form = "txt"
        if form is None:
            self._note(part, f"of type {mime_type}")
            return None
        if (source := self._source(part)) is None:
            return None
        block: Block = {"format": form, "source": source}
        if isinstance(part, FilePart) and kind == "document":
            fields = (("citations", dict), ("context", str))
            given = ((name, part.metadata.get(name), shape) for name, shape in fields)
            block["name"] = self._document_name(part)
            block.update((name, value) for name, value, shape in given if isinstance(value, shape))
        return {kind: block}

    def _source(self, part: Media) -> Block | None:
        if part.data:
            return {"bytes": base64_text(part.data)}
        url = part.url or ""
        if not url.startswith("s3://"):
            self._note(part, "without bytes or an s3:// URL")
            return None
        owner = part.metadata.get("bucketOwner")
        return {"s3Location": {"uri": url, **({"bucketOwner": owner} if owner else {})}}

    def _note(self, part: ContentPart, which: str) -> None:
        text = f"{part.type} parts {which} are not supported by {self.notes.provider}"
        self.notes.part(part, text)

    def _document_name(self, part: FilePart) -> str:
        """A name as the API wants it, and none twice in a request."""
        name = _SPACES.sub(" ", _REFUSED_IN_NAMES.sub("-", part.name or "document"))
        name = name.strip()[: _NAME_LIMIT - 8] or "document"
        number, unique = 1, name
        while unique in self._names:
            number += 1
            unique = f"{name} ({number})"
        self._names.add(unique)
        return unique


def cache_points(marked: Any) -> Iterator[Block]:
    """The cache point that `cache_control` in the metadata of a part or a tool asks for."""
    if wanted := getattr(marked, "metadata", {}).get("cache_control"):
        ttl = wanted.get("ttl") if isinstance(wanted, Mapping) else None
        yield {"cachePoint": {"type": "default", **({"ttl": ttl} if ttl else {})}}


def _kind(part: FilePart | ImagePart | VideoPart, mime_type: str) -> str:
    if isinstance(part, FilePart):
        kind = mime_type.partition("/")[0]
        return kind if kind in ("image", "video") else "document"
    return "image" if isinstance(part, ImagePart) else "video"
