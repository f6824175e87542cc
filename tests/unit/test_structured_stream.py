"""Values while they arrive: growing, element by element, and never an error before the end."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.flaky import Flaky, text
from support.shapes import values_of_types
from support.strategies import json_values

import beluga_llm as llm
from beluga_llm._structured.growing import growing_value
from beluga_llm.testing import MockChatModel, VirtualClock

END = llm.StreamChunk(finish_reason=llm.FinishReason.STOP, usage=llm.Usage(1, 2))


@dataclasses.dataclass
class Book:
    title: str
    pages: int = 1
    tags: list[str] = dataclasses.field(default_factory=list)
    sold: bool | None = None


BOOK = '{"title": "Mo\\u0062y", "pages": 120, "tags": ["a", "b"], "sold": true}'


def pieces(*texts: str) -> list[llm.StreamChunk]:
    return [*text(*texts), END]


def streamed(kind: Any, *texts: str, strategy: Any = "native") -> llm.StructuredStream[Any]:
    """A stream of an answer that comes in these pieces."""
    chunks = pieces(*texts)
    if strategy == "tool":
        name = llm.structured(MockChatModel([]), kind).name
        chunks = [llm.StreamChunk(tool_calls=(llm.ToolCallDelta(0, "c", name),))]
        chunks += [llm.StreamChunk(tool_calls=(llm.ToolCallDelta(0, arguments=t),)) for t in texts]
        chunks.append(END)
    model = MockChatModel([chunks])
    return llm.structured(model, kind, strategy=strategy).stream("Go")


async def all_of(stream: llm.StructuredStream[Any]) -> list[Any]:
    return [value async for value in stream]


@pytest.mark.row("STRU-15")
@pytest.mark.parametrize("strategy", ["native", "tool", "prompt"])
async def test_an_object_grows(strategy: Any) -> None:
    stream = streamed(
        Book, '{"ti', 'tle": "Mo', 'by", "pages": 1', '20, "sold": tr', "ue}", strategy=strategy
    )
    assert await all_of(stream) == [
        {},
        {"title": "Mo"},
        {"title": "Moby"},
        {"title": "Moby", "pages": 120},
        {"title": "Moby", "pages": 120, "sold": True},
    ]
    assert await stream.result() == await stream.result() == Book("Moby", 120, sold=True)
    assert stream.usage == llm.Usage(1, 2)
    assert stream.message.finish_reason in ("stop", "tool_calls")


@pytest.mark.row("STRU-15", "STRU-04")
@pytest.mark.parametrize(
    ("kind", "texts", "values"),
    [
        (str, ['{"value"', ': "a', "bc", '"}'], ["a", "abc"]),
        (str, ['{"value": "\\ud83d', '\\ude00"}'], ["", "\N{GRINNING FACE}"]),
        (str, ['{"value": "\ud83d', '\ude00"}'], ["", "\N{GRINNING FACE}"]),
        (list[int], ['{"value": [', "1", "2, 3", ", 4]}"], [[], [12], [12, 3, 4]]),
        (list[int], ["[1", "2, 3", "]"], [[], [12], [12, 3]]),
        (int, ['{"value": 1', "2", "}"], [12]),
        (bool, ['{"value": tr', "ue", "}"], [True]),
        (int | None, ['{"value": nu', "ll", "}"], [None]),
        (dict[str, int], ['{"value": [{"key": "a"', ', "value": 1', "}]}"], [{}, {"a": 1}]),
        (dict[str, int], ['{"a": 1', ', "b": 2}'], [{"a": 1, "b": 2}]),
        (tuple[int, str], ['{"item_1": 1', ', "item_2": "b', '"}'], [[], [1, "b"]]),
        (Book, ["Well: ", "```json\n", '{"title": "a"', "}\n```"], [{"title": "a"}]),
        (Book, ['{"title": "a", "tags": null, "sold": null}'], [{"title": "a", "sold": None}]),
        (Book, ["no ", "JSON"], []),
        (Book, ["As {this", '} says: {"', 'title": "a', '"}'], [{}, {"title": "a"}]),
        (list[int], ["See [no", "te]: [", "1", ", 2]"], [[], [1, 2]]),
        (list[int], ["See [n", 'ote]: {"value": [', "1", ", 2]"], [[], [1, 2]]),
        (Book, ['{"title": "a"} and {', "more"], [{"title": "a"}]),
    ],
)
async def test_what_is_complete_is_shown(kind: Any, texts: list[str], values: list[Any]) -> None:
    assert await all_of(streamed(kind, *texts)) == values


@pytest.mark.row("STRU-15")
@pytest.mark.parametrize("strategy", ["native", "prompt"])
async def test_thoughts_are_not_shown(strategy: Any) -> None:
    texts = ["<th", 'ink>Perhaps {"title": "b"}', "?</think>", '{"title": "a', '"}']
    stream = streamed(Book, *texts, strategy=strategy)
    assert await all_of(stream) == [{"title": "a"}]
    assert await stream.result() == Book("a")


@pytest.mark.row("STRU-15", "STRU-16")
async def test_what_is_said_before_a_call_is_not_shown() -> None:
    call = llm.StreamChunk(tool_calls=(llm.ToolCallDelta(0, "c", "Book", '{"title": "a"}'),))
    chunks = [*text('I call {"title": "b"}'), call, END]
    stream = llm.structured(MockChatModel([chunks]), Book, strategy="tool").stream("Go")
    assert await all_of(stream) == [{"title": "a"}]
    stream = llm.structured(
        MockChatModel([pieces('{"title": "c"}')]), Book, strategy="tool"
    ).stream("Go")
    assert await all_of(stream) == []
    assert await stream.result() == Book("c")


@pytest.mark.row("STRU-15", "STRU-16")
async def test_a_call_of_another_name_is_not_shown() -> None:
    """What it shows would not grow into the value of the right call, which may still come."""

    def call(at: int, name: str, arguments: str) -> llm.StreamChunk:
        return llm.StreamChunk(tool_calls=(llm.ToolCallDelta(at, f"c{at}", name, arguments),))

    chunks = [call(0, "other", '{"q": 1}'), call(1, "Book", '{"title": "a"}'), END]
    stream = llm.structured(MockChatModel([chunks]), Book, strategy="tool").stream("Go")
    assert await all_of(stream) == [{"title": "a"}]
    assert await stream.result() == Book("a")


@dataclasses.dataclass
class Tree:
    kids: list[Tree]
    name: str = ""


@pytest.mark.row("STRU-15")
@pytest.mark.parametrize("kind", [Tree, list[Tree]])
@pytest.mark.parametrize("depth", [300, 5000])
async def test_deep_nesting_is_told_by_the_result(kind: Any, depth: int) -> None:
    deep = '{"kids": [' * depth
    begin, end = deep[: len(deep) // 2], deep[len(deep) // 2 :] + "]}" * depth
    if kind is not Tree:
        begin, end = f'{{"value": [{begin}', f"{end}]}}"
    stream = streamed(kind, begin, end)
    for value in await all_of(stream):
        assert isinstance(value, dict | list)
    with pytest.raises(llm.StructuredOutputError):
        await stream.result()
    if kind == list[Tree]:
        with pytest.raises(llm.StructuredOutputError):
            await anext(streamed(kind, begin, end).items())


@pytest.mark.row("STRU-15")
async def test_values_are_shown_when_they_change() -> None:
    chunks = [
        llm.StreamChunk(model_id="m"),
        llm.StreamChunk(reasoning_delta="Hm: {"),
        *text('{"title": "a"', ", ", "   ", '"pages": 2}', "\n", " "),
        END,
    ]
    stream = llm.structured(MockChatModel([chunks]), Book, strategy="native").stream("Go")
    assert await all_of(stream) == [{"title": "a"}, {"title": "a", "pages": 2}]


def grows(before: Any, after: Any) -> bool:
    """Whether a value only has more in it than one before."""
    if isinstance(before, str) and isinstance(after, str):
        return after.startswith(before)
    if isinstance(before, list) and isinstance(after, list):
        return len(before) <= len(after) and all(map(grows, before, after))
    if isinstance(before, dict) and isinstance(after, dict):
        return all(key in after and grows(value, after[key]) for key, value in before.items())
    return bool(before == after) and type(before) is type(after)


@pytest.mark.row("STRU-15")
@pytest.mark.parametrize("ascii_only", [True, False])
@given(value=st.dictionaries(st.text(max_size=3), json_values, max_size=3), space=st.booleans())
def test_values_grow_over_every_cut(value: Any, space: bool, ascii_only: bool) -> None:
    whole = json.dumps(value, ensure_ascii=ascii_only, indent=1 if space else None)
    shown: list[Any] = [
        growing_value(f"Well: {whole[:at]}", wrapped=False) for at in range(len(whole) + 1)
    ]
    shown = [one for one in shown if isinstance(one, dict)]
    assert shown[-1] == value
    assert all(map(grows, shown, shown[1:]))
    assert all(isinstance(key, str) for one in shown for key in one)


@pytest.mark.row("STRU-15", "PAIN-02")
@given(st.text(max_size=20), st.booleans())
def test_no_text_raises(junk: str, wrapped: bool) -> None:
    for start in ("", "{", '{"value": [', '["'):
        growing_value(start + junk, wrapped=wrapped)


@pytest.mark.row("STRU-15")
@pytest.mark.parametrize("strategy", ["native", "tool"])
@given(values_of_types())
def test_streams_give_the_value(strategy: Any, made: tuple[Any, Any]) -> None:
    """Every character a chunk; the answers are those of the demo model, for any schema."""
    demo, kind = llm.create("demo"), made[0]

    async def check() -> None:
        whole = await llm.structured(demo, kind, strategy=strategy, max_retries=0).run("Go")
        target = whole.message.tool_calls
        sent = target[0].arguments if target else whole.message.text
        stream = streamed(kind, *sent, strategy=strategy)
        shown = await all_of(stream)
        assert await stream.result() == whole.value
        assert all(map(grows, shown, shown[1:]))

    try:
        asyncio.run(check())
    except llm.StructuredOutputError as error:  # a limit that strict modes do not know
        assert "of length" in error.message  # noqa: PT017 -- where it comes at all


# --- elements ------------------------------------------------------------------------------------


@pytest.mark.row("STRU-15")
@pytest.mark.parametrize("strategy", ["native", "tool", "prompt"])
async def test_elements_come_as_soon_as_they_are_complete(strategy: Any) -> None:
    gate = asyncio.Event()
    reached: list[int] = []

    async def wait() -> None:
        await gate.wait()

    first = '{"value": [{"title": "a", "pages": 1, "tags": null, "sold": null}'
    rest = ', {"title": "b"', ', "pages": 2}', "]}"
    attempt: list[Any] = [*text(first), wait, *text(*rest), END]
    if strategy == "tool":
        attempt = [
            llm.StreamChunk(tool_calls=(llm.ToolCallDelta(0, "c", "list_Book", item.delta),))
            if isinstance(item, llm.StreamChunk) and item.delta
            else item
            for item in attempt
        ]
        attempt[0] = llm.StreamChunk(
            tool_calls=(
                llm.ToolCallDelta(0, "c", "list_Book", '{"value": [{"title": "a", "pages": 1}'),
            )
        )
    if strategy == "prompt":
        attempt[0] = llm.StreamChunk('Here: ```\n{"value": [{"title": "a", "pages": 1}')
    model = Flaky(attempt)
    stream = llm.structured(model, list[Book], strategy=strategy).stream("Go")
    async for book in stream.items():
        assert isinstance(book, Book)
        reached.append(book.pages)
        gate.set()
    assert reached == [1, 2]
    assert await stream.result() == [Book("a", 1), Book("b", 2)]


@pytest.mark.row("STRU-15")
@pytest.mark.parametrize(
    ("kind", "answer", "elements"),
    [
        (list[int], '{"value": [1, -22, 333]}', [1, -22, 333]),
        (list[float], '{"value": [1.5e3, 2.25, 3]}', [1500.0, 2.25, 3.0]),
        (list[str], '{"value": ["a", "]", "\\"", ""]}', ["a", "]", '"', ""]),
        (list[bool | None], '{"value": [true, null, false]}', [True, None, False]),
        (list[list[int]], '{"value": [[1], [], [2, 3]]}', [[1], [], [2, 3]]),
        (tuple[int, ...], "[ 1 , 2 ]", [1, 2]),
        (list[int], '{"value": []}', []),
        (list[int], "[]", []),
        (list[dict[str, int]], '{"value": [[{"key": "a", "value": 1}], []]}', [{"a": 1}, {}]),
        (list[Any], '{"value": [1, {"a": [2]}, "x"]}', [1, {"a": [2]}, "x"]),
        (list[int], 'Sure. {"value": [7]} Done. [8]', [7]),
        (list[int], '{"note": 1, "value": [7, 8]}', [7, 8]),
        (list[int], 'As [noted] in {x}: {"value": [7, 8]}', [7, 8]),
    ],
)
async def test_elements_over_every_cut(kind: Any, answer: str, elements: list[Any]) -> None:
    for at in range(len(answer) + 1):
        stream = streamed(kind, answer[:at], answer[at:])
        assert [one async for one in stream.items()] == elements
    one_by_one = streamed(kind, *answer)
    assert [one async for one in one_by_one.items()] == elements


@pytest.mark.row("STRU-15")
async def test_elements_of_sets() -> None:
    stream = streamed(set[int], '{"value": [1, 2,', " 3]}")
    assert [one async for one in stream.items()] == [1, 2, 3]
    stream = streamed(frozenset[int], '{"note": "x", "value": [1, 2]}')
    assert {one async for one in stream.items()} == {1, 2}


@pytest.mark.row("STRU-15")
async def test_a_wrong_element_ends_the_stream() -> None:
    model = Flaky([*text('{"value": [1, "x"', ", 3, "), *text("4]}"), END])
    stream = llm.structured(model, list[int], strategy="native").stream("Go")
    seen = []
    with pytest.raises(llm.StructuredOutputError, match=r"\$\.value\[1\]: expected int, got str"):
        async for one in stream.items():
            seen.append(one)  # noqa: PERF401 -- what came before the error counts
    assert seen == [1]
    assert model.open == 0
    with pytest.raises(llm.StructuredOutputError, match="after 1 attempts"):
        await stream.result()


@pytest.mark.row("STRU-15", "STRU-23")
async def test_elements_end_with_the_error_of_the_whole() -> None:
    cut = [*text('{"value": [1, 2'), llm.StreamChunk(finish_reason=llm.FinishReason.LENGTH)]
    stream = llm.structured(MockChatModel([cut]), list[int], strategy="native").stream("Go")
    seen = []
    with pytest.raises(llm.StructuredOutputError, match="cut by the token limit"):
        async for one in stream.items():
            seen.append(one)  # noqa: PERF401 -- likewise
    assert seen == [1]


@pytest.mark.row("STRU-15")
@pytest.mark.parametrize("kind", [Book, int, str, tuple[int, str], dict[str, int]])
def test_only_lists_have_elements(kind: Any) -> None:
    with pytest.raises(TypeError, match=r"items\(\) needs a list of one type, not"):
        streamed(kind, "{}").items()


# --- results -------------------------------------------------------------------------------------


@pytest.mark.row("STRU-15")
async def test_the_result_reads_what_is_left() -> None:
    stream = streamed(Book, '{"title": ', '"a"}')
    assert await anext(stream) == {}
    assert await stream.result() == Book("a")
    whole = streamed(Book, '{"title": ', '"a"}')
    assert await whole.result() == Book("a")
    assert await all_of(streamed(Book, "")) == []


@pytest.mark.row("STRU-15", "STRU-10")
async def test_there_is_one_attempt() -> None:
    model = MockChatModel([pieces('{"title": 1}'), pieces('{"title": "a"}')])
    stream = llm.structured(model, Book, strategy="native").stream("Go")
    assert await all_of(stream) == [{"title": 1}]
    for _ in range(2):
        with pytest.raises(llm.StructuredOutputError) as caught:
            await stream.result()
    error = caught.value
    assert error.message == (
        "failed to parse structured output after 1 attempts: $.title: expected str, got int"
    )
    assert (error.attempts, error.raw, error.usage) == (1, '{"title": 1}', llm.Usage(1, 2))
    assert error.op == "structured.stream"
    assert len(model.calls) == 1


@pytest.mark.row("STRU-23")
async def test_a_withheld_answer() -> None:
    withheld = [llm.StreamChunk(refusal_delta="No."), llm.StreamChunk(finish_reason=_FILTER)]
    stream = llm.structured(MockChatModel([withheld]), Book, strategy="native").stream("Go")
    assert await all_of(stream) == []
    with pytest.raises(llm.ContentFilterError, match=r"No\."):
        await stream.result()


_FILTER = llm.FinishReason.CONTENT_FILTER


@pytest.mark.row("STRU-02", "STRU-15")
async def test_validators_see_the_result() -> None:
    def longer(book: Book) -> Book:
        if book.pages < 10:
            raise ValueError("too short")
        return book

    model = MockChatModel([pieces('{"title": "a"}')])
    asked = llm.structured(model, Book, strategy="native", validators=[longer])
    with pytest.raises(llm.StructuredOutputError, match=r"\$: too short"):
        await asked.stream("Go").result()


@pytest.mark.row("STRE-02", "STRE-09")
async def test_errors_of_the_call_come_from_the_loop() -> None:
    broken = llm.StreamInterruptedError("cut", content_started=True)
    model = Flaky([*text('{"title": "a"'), broken])
    stream = llm.structured(model, Book, strategy="native").stream("Go")
    seen = []
    with pytest.raises(llm.StreamInterruptedError):
        async for value in stream:
            seen.append(value)  # noqa: PERF401 -- what came before the error counts
    assert seen == [{"title": "a"}]
    with pytest.raises(llm.StreamInterruptedError):
        await stream.result()
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


# --- iterating and leaving -----------------------------------------------------------------------


@pytest.mark.row("STRE-25")
async def test_it_is_iterated_once() -> None:
    stream = streamed(list[int], "[1]")
    await all_of(stream)
    for again in (stream.__aiter__, stream.items):
        with pytest.raises(RuntimeError, match="only once"):
            again()


@pytest.mark.row("CHAT-03")
async def test_nothing_happens_before_it_is_iterated() -> None:
    model = MockChatModel([])
    stream = llm.structured(model, Book).stream("Go")
    assert (stream.message, stream.usage) == (llm.AIMessage(), llm.Usage())
    await stream.aclose()
    await stream.aclose()
    with pytest.raises(RuntimeError, match="closed before it was iterated"):
        await anext(stream)
    assert model.calls == []


@pytest.mark.row("STRE-04")
@pytest.mark.parametrize("way", ["values", "items"])
async def test_leaving_the_block_closes_the_call(way: str) -> None:
    model = Flaky([*text('{"value": [1, 2, 3', ", 4"), END])
    async with llm.structured(model, list[int], strategy="native").stream("Go") as stream:
        async for _ in stream if way == "values" else stream.items():
            assert model.open == 1
            break
    assert model.open == 0
    with pytest.raises(llm.StreamInterruptedError, match="closed before its end"):
        await stream.result()
    async with llm.structured(model, list[int]).stream("Go"):
        pass
    assert len(model.requests) == 1


@pytest.mark.row("STRE-04", "STRE-06")
async def test_elements_can_be_closed_and_cancelled() -> None:
    model = Flaky([*text('{"value": [1, 2, 3'), asyncio.Event()])
    asked = llm.structured(model, list[int], strategy="native")
    elements: Any = asked.stream("Go").items()
    assert await anext(elements) == 1
    await elements.aclose()
    assert model.open == 0

    async def consume() -> None:
        async with asked.stream("Go") as stream:
            async for _ in stream.items():
                pass

    task = asyncio.create_task(consume())
    while not model.open:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert model.open == 0


@pytest.mark.row("STRE-05", "STRE-07")
async def test_a_dropped_stream_ends() -> None:
    model = Flaky([*text('{"value": [1, 2, 3'), asyncio.Event()])
    async for _ in llm.structured(model, list[int], strategy="native").stream("Go"):
        break
    del _
    gc.collect()
    for _ in range(3):
        await asyncio.sleep(0)
    assert model.open == 0


# --- attempts that begin anew --------------------------------------------------------------------


def restarting(*first: llm.StreamChunk) -> llm.ChatModel:
    """A model whose first attempt breaks, and is begun anew."""
    attempts: Sequence[Any] = [*first, llm.ConnectionFailedError("gone")], pieces('{"value": [7]}')
    retry = llm.with_retry(mid_stream="restart", clock=VirtualClock(auto=True))
    return Flaky(*attempts).with_middleware(retry)


@pytest.mark.row("STRE-28")
@pytest.mark.parametrize("way", ["values", "items"])
async def test_what_was_shown_is_not_taken_back(way: str) -> None:
    model = restarting(*text('{"value": [1, ', "2,"))
    stream = llm.structured(model, list[int], strategy="native").stream("Go")
    seen = []
    with pytest.raises(llm.StreamInterruptedError, match="begun anew") as caught:
        async for value in stream if way == "values" else stream.items():
            seen.append(value)  # noqa: PERF401 -- what came before the error counts
    assert seen == ([[1], [1, 2]] if way == "values" else [1, 2])
    assert caught.value.content_started
    assert caught.value.partial is not None
    assert caught.value.partial.text == '{"value": [1, 2,'


@pytest.mark.row("STRE-28")
@pytest.mark.parametrize("way", ["values", "items"])
async def test_before_anything_was_shown_it_may_begin_anew(way: str) -> None:
    model = restarting(*text("Let me", " see: "))
    stream = llm.structured(model, list[int], strategy="native").stream("Go")
    seen = [one async for one in (stream if way == "values" else stream.items())]
    assert seen == ([[7]] if way == "values" else [7])
    assert await stream.result() == [7]


@pytest.mark.row("STRE-28", "STRU-15")
@pytest.mark.parametrize("begun", ["Some numbers: [", '[ {"value": [', "[                 ", "[]"])
async def test_an_answer_that_begins_anew_is_read_from_its_beginning(begun: str) -> None:
    """The list had begun, too, but nothing of it was shown."""
    model = restarting(*text(begun))
    stream = llm.structured(model, list[int], strategy="native").stream("Go")
    assert [one async for one in stream.items()] == [7]
