"""Media that a model makes, from their `inlineData`.

What only Gemini knows of a part (its signature) goes into the part's metadata, from where it goes
back with the part.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from typing import Any

from beluga_llm import AudioPart, ContentPart, FilePart, ImagePart, VideoPart
from beluga_llm_google._wire import as_object, as_text

SIGNATURE = "thoughtSignature"
PROVIDER = "provider"

_AUDIO_FORMATS: dict[str, Any] = {
    "wav": "wav", "x-wav": "wav", "wave": "wav", "mp3": "mp3", "mpeg": "mp3", "mpga": "mp3",
    "flac": "flac", "opus": "opus", "aac": "aac", "x-aac": "aac", "m4a": "m4a", "mp4": "m4a",
    "ogg": "ogg", "l16": "pcm16", "pcm": "pcm16",
}  # fmt: skip
_RATE = re.compile(r"rate=(\d{1,7})\b")


def made_part(part: dict[str, Any], provider: str) -> ContentPart | None:
    """The part that a part of the answer is; None where it holds no media that can be read."""
    blob = as_object(part.get("inlineData"))
    mime_type, data = as_text(blob.get("mimeType")), _bytes(blob.get("data"))
    if not mime_type or data is None:
        return None
    signature = as_text(part.get(SIGNATURE))
    hints = {SIGNATURE: signature, PROVIDER: provider} if signature else {}
    kind, _, form = mime_type.partition(";")[0].strip().lower().partition("/")
    if kind == "image":
        return ImagePart(data, mime_type=mime_type, metadata=hints)
    if kind == "audio" and form in _AUDIO_FORMATS:
        found = _RATE.search(mime_type)
        rate = int(found[1]) if found else None
        return AudioPart(data, format=_AUDIO_FORMATS[form], sample_rate=rate, metadata=hints)
    if kind == "video":
        return VideoPart(data, mime_type=mime_type, metadata=hints)
    return FilePart(data, mime_type=mime_type, metadata=hints)


def _bytes(value: Any) -> bytes | None:
    try:
        return b64decode(value, validate=True) if isinstance(value, str) else None
    except (binascii.Error, ValueError):
        return None
