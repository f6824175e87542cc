"""Parts of ours as parts of the API.

Bytes go inline; addresses, ids of uploaded files and objects of Google Cloud Storage as `fileData`.
Nothing is downloaded: what the API cannot take is noted. A part's `metadata` may carry
`videoMetadata` and `mediaResolution`, which go on the part.

Sources: "File input methods" of the Gemini API docs, "Part", "Blob" and "FileData" of the API
reference.
"""

from __future__ import annotations

import re
from typing import Any, TypeAlias
from urllib.parse import unquote_to_bytes

from beluga_llm import (
    AudioPart,
    ContentPart,
    FilePart,
    ImagePart,
    TextPart,
    ThinkingPart,
    UnknownPart,
    VideoPart,
)
from beluga_llm.plugin import Notes, base64_text
from beluga_llm_google._media import PROVIDER, SIGNATURE

WirePart: TypeAlias = dict[str, Any]
Media: TypeAlias = ImagePart | AudioPart | VideoPart | FilePart

FILES = "https://generativelanguage.googleapis.com/v1beta/"
"""Where the files of the Gemini API are: a mere name such as `files/abc` is refused."""

_HINTS = ("videoMetadata", "mediaResolution")
_FETCHED = re.compile(r"(https|gs)://", re.IGNORECASE)
_DATA_URI = re.compile(r"data:([^;,]*)((?:;[^;,]*)*?)(;base64)?,(.*)", re.IGNORECASE | re.DOTALL)
_MIME_TYPES = {
    "wav": "audio/wav",
    "mp3": "audio/mp3",
    "pcm16": "audio/pcm",
    "flac": "audio/flac",
    "opus": "audio/opus",
    "aac": "audio/aac",
    "m4a": "audio/m4a",
    "ogg": "audio/ogg",
}


class PartEncoder:
    """Makes parts of the API.

    Args:
        notes: takes what is left out.
        files: the address to put before the id of a file; None where ids must be addresses.
    """

    def __init__(self, notes: Notes, *, files: str | None) -> None:
        self.notes = notes
        self._files = files

    def content(self, parts: tuple[ContentPart, ...]) -> list[WirePart]:
        """The parts of what a user says or a tool answers."""
        return [made for part in parts if (made := self._part(part)) is not None]

    def media(self, part: Media) -> WirePart | None:
        """A picture, sound, film or document."""
        made = self._inline(part) if part.data is not None else self._by_address(part)
        if made is None:
            return None
        made.update((name, part.metadata[name]) for name in _HINTS if name in part.metadata)
        if part.metadata.get(PROVIDER) == self.notes.provider:
            return signed(made, part.metadata.get(SIGNATURE))
        return made

    def _part(self, part: ContentPart) -> WirePart | None:
        if isinstance(part, TextPart):
            return {"text": part.text} if part.text else None
        if isinstance(part, ThinkingPart | UnknownPart):
            self.notes.part(part)
            return None
        return self.media(part)

    def _inline(self, part: Media) -> WirePart:
        return inline(mime_type_of(part), base64_text(part.data or b""))

    def _by_address(self, part: Media) -> WirePart | None:
        file_id = getattr(part, "file_id", None)
        if file_id is not None:
            return self._by_id(part, file_id)
        address = part.url or ""
        if data := _DATA_URI.fullmatch(address):
            return _from_data_uri(data, mime_type_of(part))
        if not _FETCHED.match(address):
            text = f"{part.type} parts of this address are not supported by {self.notes.provider}"
            self.notes.part(part, f"{text}: it must begin with https:// or gs://")
            return None
        return {"fileData": {"mimeType": mime_type_of(part), "fileUri": address}}

    def _by_id(self, part: Media, file_id: str) -> WirePart | None:
        address = file_id
        if "://" not in file_id:
            if self._files is None:
                text = f"{part.type} parts with a file_id are not supported by"
                self.notes.part(part, f"{text} {self.notes.provider}: give its gs:// address")
                return None
            address = self._files + "files/" + file_id.removeprefix("files/")
        found = {"mimeType": mime_type_of(part), "fileUri": address}
        if isinstance(part, ImagePart) and part.mime_type == "image/png":
            del found["mimeType"]  # only a guess: the API knows the type of the file
        return {"fileData": found}


def signed(part: WirePart, signature: Any) -> WirePart:
    """The part with its signature, if there is one."""
    return {**part, SIGNATURE: signature} if signature else part


def inline(mime_type: str, data: str) -> WirePart:
    """A part of base64 data."""
    return {"inlineData": {"mimeType": mime_type, "data": data}}


def mime_type_of(part: Media) -> str:
    """What kind of data a part holds."""
    if isinstance(part, AudioPart):
        rate = f";rate={part.sample_rate}" if part.sample_rate and part.format == "pcm16" else ""
        return _MIME_TYPES[part.format] + rate
    return part.mime_type


def _from_data_uri(data: re.Match[str], usual: str) -> WirePart:
    mime_type, _, is_base64, payload = data.groups()
    if not is_base64:
        payload = base64_text(unquote_to_bytes(payload))
    return inline(mime_type or usual, payload)
