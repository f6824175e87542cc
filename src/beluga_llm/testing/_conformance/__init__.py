"""The contract kit: what a provider promises, as tests that its author subclasses."""

from __future__ import annotations

from beluga_llm.testing._conformance._answers import AnswerChecks
from beluga_llm.testing._conformance._basics import BasicChecks
from beluga_llm.testing._conformance._decoding import DecodingChecks
from beluga_llm.testing._conformance._encoding import EncodingChecks
from beluga_llm.testing._conformance._errors import ErrorChecks
from beluga_llm.testing._conformance._healthy import HealthChecks
from beluga_llm.testing._conformance._leaving import LeavingChecks
from beluga_llm.testing._conformance._limits import LimitChecks
from beluga_llm.testing._conformance._options import OptionChecks
from beluga_llm.testing._conformance._reasoning import ReasoningChecks
from beluga_llm.testing._conformance._secrets import SecretChecks
from beluga_llm.testing._conformance._sharing import SharingChecks
from beluga_llm.testing._conformance._tools import ToolChecks
from beluga_llm.testing._conformance._truncation import TruncationChecks

__all__ = ["ChatModelConformance", "DialectConformance"]


class ChatModelConformance(
    BasicChecks,
    AnswerChecks,
    ToolChecks,
    OptionChecks,
    ReasoningChecks,
    ErrorChecks,
    LeavingChecks,
    LimitChecks,
    TruncationChecks,
    SharingChecks,
    SecretChecks,
    HealthChecks,
):
    """What every provider promises: subclass it in a test module, and fill in what it is.

        class TestAcme(ChatModelConformance):
            entry = "acme"                   # the entry name, under which it is installed
            api = "chat"                     # its wire format, as the fake server speaks it
            fields = {"model": "acme-1"}     # what else `create` needs

    The kit starts the fake server and makes the models: with the server's address, the key
    "test-key" and these fields. A provider that is not installed, or needs more to be made,
    overrides `make(self, server, **fields)`, or at least the fixture `model`, which may use the
    fixtures `server` and `base_url`. One that is no HTTP service leaves `api` out.

    What does not apply is skipped, and says why: by the model's capabilities, by what the wire
    format carries, or by what was left out here.

    The checks need pytest (extra `testing`), and no plugin for asyncio. They work in any order and
    in parallel. Checks are added in minor releases only.

    Attributes:
        entry: the provider's entry name; None checks no registration.
        api: the wire format, as `FakeServer.base_url` takes it; None for no HTTP service. That of
            an HttpModel from a fixture `model` is found out.
        fields: what else `create` needs, such as the model's id.
        carries: what the answers of this provider can hold, where that is less than its wire
            format can; see `Wire.carries`.
        usage_unasked: the vendor tells token counts in streams without being asked, and the
            provider does not ask.
        quota_code: the vendor's word for an exhausted account, where it is not the usual one of
            its wire format.
        recorded_stream: a streamed answer as the vendor sends it, with text in its first half, for
            a wire format that the fake server does not speak; `api` is then left out.
        recorded_body: the same answer as a whole body.
        sends_key: False where the key is not sent, but signs requests or buys a token.
        api_key: the key that the kit gives.
        patience: seconds after which a check is taken for hanging.
    """


class DialectConformance(DecodingChecks, EncodingChecks):
    """What every dialect promises, without a socket: subclass it, and fill in what it is.

        class TestAcmeDialect(DialectConformance):
            dialect = AcmeDialect()
            streams = {"hello": HELLO_STREAM}     # whole answers, as the vendor sends them
            bodies = {"hello": HELLO_BODY}        # the same answer under the same name

    With `api`, the fake server's own answers in that wire format are checked as well.

    Attributes:
        dialect: the dialect under test.
        streams: bytes of whole streamed answers, by any name.
        bodies: bytes of whole answers; one that has the name of a stream is the same answer.
        errors: bytes of streams that end in an error frame, by the code that the error must have,
            such as "overloaded"; several of one code are a list.
        api: the wire format of the fake server whose answers the dialect reads, if there is one.
        model: the model id that is asked.
    """
