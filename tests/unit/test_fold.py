"""Law 1 and its company: the fold is pure, total, linear, and blind to cuts."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.strategies import answers, chunk_lists, cut, pieces

from beluga_llm._chunks import StreamChunk, ToolCallDelta
from beluga_llm._fold import Fold, collect, fold
from beluga_llm._messages import AIMessage, replace
from beluga_llm._parts import ImagePart, TextPart, ThinkingPart
from beluga_llm._replay import replay
from beluga_llm._tool_types import ToolCall
from beluga_llm._usage import FinishReason, Usage


@pytest.mark.row("SCHE-34", "SCHE-26", "SCHE-27")
@given(answers)
def test_fold_undoes_replay(message: AIMessage) -> None:
    assert fold(replay(message)) == message


@pytest.mark.row("SCHE-34")
@given(answers)
def test_metadata_and_name_are_not_of_the_answer(message: AIMessage) -> None:
    own = replace(message, metadata={"trace": 1}, name="ann")
    assert fold(replay(own)) == message


@pytest.mark.row("SCHE-34")
@given(chunk_lists, st.data())
def test_cutting_a_text_delta_changes_nothing(
    chunks: list[StreamChunk], data: st.DataObject
) -> None:
    severed = [piece for chunk in chunks for piece in data.draw(cut(chunk))]
    assert fold(severed) == fold(chunks)


@pytest.mark.row("SCHE-34")
@given(chunk_lists)
def test_the_fold_is_total_and_pure(chunks: list[StreamChunk]) -> None:
    """Any chunks give a message, twice the same, and asking in between changes nothing."""
    state = Fold()
    for chunk in chunks:
        state.add(chunk)
        assert isinstance(state.message(), AIMessage)
    assert state.message() == fold(chunks) == fold(chunks)


@pytest.mark.row("SCHE-34")
@given(chunk_lists)
def test_what_a_fold_gives_can_be_replayed(chunks: list[StreamChunk]) -> None:
    message = fold(chunks)
    assert fold(replay(message)) == message


_PLACE = st.sampled_from([None, 0, 1])
_GOING_ON = st.one_of(
    st.builds(StreamChunk, st.text(max_size=2), part_index=_PLACE),
    st.builds(StreamChunk, st.just(""), st.text(max_size=2), part_index=_PLACE),
    st.builds(
        StreamChunk,
        tool_calls=st.tuples(st.builds(ToolCallDelta, _PLACE, arguments=st.text(max_size=2))),
        part_index=_PLACE,
    ),
)


def runs_of(usual: st.SearchStrategy[StreamChunk]) -> st.SearchStrategy[list[StreamChunk]]:
    """Chunks of which many follow one another that only go on with what came before."""
    runs = st.tuples(usual, st.integers(1, 4)).map(lambda run: [run[0]] * run[1])
    return st.lists(runs, max_size=6).map(lambda found: [chunk for run in found for chunk in run])


@given(st.lists(chunk_lists | runs_of(_GOING_ON)))
def test_many_chunks_add_up_to_what_each_adds(runs: list[list[StreamChunk]]) -> None:
    """Chunks that only go on with something are taken together; the answer is the same."""
    together, singly = Fold(), Fold()
    for chunks in runs:
        together.extend(chunks)
        for chunk in chunks:
            singly.add(chunk)
        assert together.message() == singly.message()


@given(st.text(alphabet="a😀é<", max_size=20).flatmap(pieces))
def test_text_is_the_text_of_its_pieces(text_pieces: list[str]) -> None:
    message = fold(StreamChunk(delta=piece) for piece in text_pieces)
    assert message.text == "".join(text_pieces)


def test_no_chunks_are_the_empty_message() -> None:
    assert fold([]) == AIMessage()


@pytest.mark.row("REAS-06")
def test_numbered_blocks_stay_apart_and_in_the_order_they_began() -> None:
    message = fold([
        StreamChunk(reasoning_delta="a", part_index=0),
        StreamChunk(reasoning_delta="b", part_index=1),
        StreamChunk(delta="c", part_index=2),
        StreamChunk(reasoning_delta="A", part_index=0),
    ])  # fmt: skip
    assert message.parts == (ThinkingPart("aA"), ThinkingPart("b"), TextPart("c"))


@pytest.mark.row("REAS-07")
def test_a_signature_in_several_deltas_is_one() -> None:
    message = fold([
        StreamChunk(reasoning_delta="hm", part_index=0),
        StreamChunk(signature="ab", part_index=0, provider="anthropic"),
        StreamChunk(signature="cd", part_index=0),
    ])  # fmt: skip
    assert message.parts == (ThinkingPart("hm", "abcd", provider="anthropic"),)


def test_a_signature_without_text_is_a_thinking_part() -> None:
    message = fold([StreamChunk(signature="s", part_index=3), StreamChunk(delta="x", part_index=4)])
    assert message.parts == (ThinkingPart("", "s"), TextPart("x"))


def test_a_signature_that_follows_its_text_is_the_texts() -> None:
    message = fold([StreamChunk(delta="x", part_index=0), StreamChunk(signature="s", part_index=0)])
    assert message.parts == (TextPart("x", "s"),)


def test_a_whole_part_ends_the_blocks_without_a_number() -> None:
    image = ImagePart(file_id="f")
    chunks = [StreamChunk(delta="a"), StreamChunk(parts=(image,)), StreamChunk(delta="b")]
    assert fold(chunks).parts == (TextPart("a"), image, TextPart("b"))


@pytest.mark.row("STRE-28")
def test_a_reset_discards_what_came_before() -> None:
    chunks = [
        StreamChunk(delta="old", usage=Usage(1, 1), choice=0),
        StreamChunk(delta="other", choice=1),
        StreamChunk(reset=True, delta="new"),
    ]
    assert fold(chunks) == AIMessage("new")


@pytest.mark.row("STRE-12")
def test_the_last_finish_reason_counts_and_usage_is_merged() -> None:
    message = fold([
        StreamChunk(usage=Usage(input_tokens=7, cached_tokens=2)),
        StreamChunk(finish_reason=FinishReason.LENGTH, raw_finish_reason="max_tokens"),
        StreamChunk(),
        StreamChunk(finish_reason=FinishReason.STOP, usage=Usage(output_tokens=3)),
    ])  # fmt: skip
    assert message.finish_reason is FinishReason.STOP
    assert message.usage == Usage(7, 3, 10, cached_tokens=2)


@pytest.mark.row("STRE-14")
def test_a_growing_answer_tells_its_facts() -> None:
    state = Fold()
    assert (state.usage, state.finish_reason, state.model_id) == (Usage(), None, None)
    state.add(StreamChunk(usage=Usage(1), finish_reason=FinishReason.STOP, model_id="m"))
    state.add(StreamChunk(usage=Usage(9), finish_reason=FinishReason.LENGTH, choice=1))
    assert (state.usage, state.finish_reason, state.model_id) == (Usage(1), "stop", "m")


@pytest.mark.row("SCHE-22")
def test_stop_with_tool_calls_is_tool_calls() -> None:
    delta = ToolCallDelta(0, "c1", "f", "{}")
    message = fold([StreamChunk(tool_calls=(delta,), finish_reason=FinishReason.STOP)])
    assert message.finish_reason is FinishReason.TOOL_CALLS
    assert message.tool_calls == (ToolCall("c1", "f"),)


@pytest.mark.row("SCHE-26")
def test_other_choices_are_alternatives_in_their_order() -> None:
    chunks = [
        StreamChunk(delta="c", choice=2),
        StreamChunk(delta="a"),
        StreamChunk(delta="b", choice=1),
    ]
    message = fold(chunks)
    assert [message.text, *(other.text for other in message.alternatives)] == ["a", "b", "c"]


@pytest.mark.row("SCHE-27")
def test_logprobs_of_chunks_are_joined() -> None:
    def tokens(*names: str) -> dict[str, object]:
        return {"content": [{"token": name} for name in names], "refusal": None}

    chunks = [StreamChunk(logprobs=tokens("a")), StreamChunk(logprobs=tokens("b", "c"))]
    assert fold(chunks).logprobs == tokens("a", "b", "c")


def test_halves_of_a_character_are_joined() -> None:
    whole = "😀".encode("utf-16-le")
    halves = [
        whole[:2].decode("utf-16-le", "surrogatepass"),
        whole[2:].decode("utf-16-le", "surrogatepass"),
    ]
    assert fold(StreamChunk(delta=half) for half in halves).text == "😀"


@pytest.mark.row("STRE-17")
async def test_collect_folds_any_async_iterable() -> None:
    async def stream() -> AsyncIterator[StreamChunk]:
        yield StreamChunk(delta="a")
        yield StreamChunk(delta="b")

    assert await collect(stream()) == AIMessage("ab")


def _seconds(count: int) -> float:
    chunk = StreamChunk(
        delta="token ",
        tool_calls=(ToolCallDelta(0, None, None, '"x",'),),
        logprobs={"content": [{"token": "token"}]},
    )
    best = float("inf")
    for _ in range(3):
        begun = time.process_time()
        fold([chunk] * count)
        best = min(best, time.process_time() - begun)
    return best


@pytest.mark.row("STRE-30")
def test_folding_is_linear() -> None:
    """Sixteen times the chunks take about sixteen times as long, not 256 times."""
    assert _seconds(32_000) < 64 * max(_seconds(2_000), 0.001)
