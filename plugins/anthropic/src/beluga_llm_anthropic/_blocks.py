"""Parts as content blocks of the Messages API.

A part's `metadata` may carry `cache_control`, and for documents `citations`, `context` and `title`;
these go on the block. Nothing is downloaded: what the API cannot take is noted.

Sources: "Messages", "Images and vision", "PDF support" and "Prompt caching" of the Claude Platform
docs.
"""

from __future__ import annotations

import re
from base64 import b64decode
from typing import Any, TypeAlias, TypeVar

from beluga_llm import ContentPart, FilePart, ImagePart, TextPart, replace
from beluga_llm.plugin import Notes, base64_text

Block: TypeAlias = dict[str, Any]
_Media = TypeVar("_Media", ImagePart, FilePart)

FILES_BETA = "files-api-2025-04-14"

_IMAGES = frozenset(("image/jpeg", "image/png", "image/gif", "image/webp"))
_DATA_URI = re.compile(r"data:([^;,]*)(?:;[^;,]*)*;base64,(.*)", re.IGNORECASE | re.DOTALL)
_DOCUMENT_FIELDS = ("cache_control", "citations", "context", "title")


class BlockEncoder:
    """Makes blocks of parts.

    Attributes:
        betas: the beta features that the blocks made so far need.
    """

    def __init__(self, notes: Notes, *, only_data: bool = False) -> None:
        self.notes = notes
        self.betas: list[str] = []
        self._only_data = only_data

    def content(self, parts: tuple[ContentPart, ...]) -> list[Block]:
        """The blocks of what a user says or a tool answers."""
        return [block for part in parts if (block := self._block(part)) is not None]

    def text(self, part: TextPart) -> Block | None:
        """A text block; None for blank text, which the API refuses."""
        if part.signature:
            self.notes.foreign(part)
        if not part.text or part.text.isspace():
            return None
        block = {"type": "text", "text": part.text}
        return _with_metadata(block, part) if part.metadata else block

    def _block(self, part: ContentPart) -> Block | None:
        if isinstance(part, TextPart):
            return self.text(part)
        if isinstance(part, ImagePart):
            part = _with_data(part)
            return self._image(part, part.mime_type)
        if isinstance(part, FilePart):
            part = _with_data(part)
            if part.mime_type.startswith("image/"):
                return self._image(part, part.mime_type)
            return self._document(part)
        self.notes.part(part)
        return None

    def _image(self, part: ImagePart | FilePart, mime_type: str) -> Block | None:
        source = self._source(part, mime_type)
        if part.data is not None and mime_type not in _IMAGES:
            self.notes.part(part, f"{mime_type} is not supported by {self.notes.provider}")
            return None
        return source and _with_metadata({"type": "image", "source": source}, part)

    def _document(self, part: FilePart) -> Block | None:
        source = self._source(part, part.mime_type)
        if part.data is not None and part.mime_type != "application/pdf":
            source = _plain_text(part.data) if part.mime_type.startswith("text/") else None
        if source is None:
            self.notes.part(part, f"{part.mime_type} is not supported by {self.notes.provider}")
            return None
        block: Block = {"type": "document", "source": source}
        if part.name:
            block["title"] = part.name
        return _with_metadata(block, part, *_DOCUMENT_FIELDS)

    def _source(self, part: ImagePart | FilePart, mime_type: str) -> Block | None:
        """Where the data are; None, and noted, where a cloud does not take them from there."""
        if part.data is not None:
            return {"type": "base64", "media_type": mime_type, "data": base64_text(part.data)}
        if self._only_data:
            how = "URL" if part.url is not None else "file id"
            what = f"{part.type} parts by {how}"
            self.notes.part(part, f"{what} are not supported by {self.notes.provider}")
            return None
        if part.url is not None:
            return {"type": "url", "url": part.url}
        if FILES_BETA not in self.betas:
            self.betas.append(FILES_BETA)
        return {"type": "file", "file_id": part.file_id}


def _with_data(part: _Media) -> _Media:
    """The part; with data where they stand in its URL, as the API fetches from servers only."""
    found = _DATA_URI.fullmatch(part.url or "")
    if found is None:
        return part
    try:
        data = b64decode(found[2], validate=True)
    except ValueError:
        return part
    return replace(part, data=data, url=None, mime_type=found[1] or part.mime_type)


def _plain_text(data: bytes) -> Block | None:
    try:
        return {"type": "text", "media_type": "text/plain", "data": data.decode()}
    except UnicodeDecodeError:
        return None


def _with_metadata(block: Block, part: TextPart | ImagePart | FilePart, *fields: str) -> Block:
    for name in fields or ("cache_control",):
        if (value := part.metadata.get(name)) is not None:
            block[name] = value
    return block
