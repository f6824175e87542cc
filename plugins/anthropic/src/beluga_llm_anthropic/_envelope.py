"""The envelopes in which the Messages API is carried: where a request goes, and what is where."""

from __future__ import annotations

import msgspec


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """Where requests go, and what of them stands in the body.

    Attributes:
        path: relative to the base URL; `{model}` stands for the model's id.
        stream_path: the same for streams, where it differs.
        count_path: the same for counting tokens.
        models_path: the same for the list of models; None where the envelope has none.
        version_in_body: the version goes there as `anthropic_version`, not into a header.
        betas_in_body: betas go there as `anthropic_beta`, not into a header.
        model_in_body: False where only the path names the model.
        stream_in_body: False where only the path asks for a stream.
        only_data: images and documents are taken as data only, not by URL or file id.
    """

    path: str = "/v1/messages"
    stream_path: str | None = None
    count_path: str = "/v1/messages/count_tokens"
    models_path: str | None = "/v1/models"
    version_in_body: bool = False
    betas_in_body: bool = False
    model_in_body: bool = True
    stream_in_body: bool = True
    only_data: bool = False
