"""Datasets through a Ray on this machine: `nox -s ray`. Elsewhere Ray is not installed."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import beluga_llm as llm
import beluga_llm_ray
from beluga_llm.testing import FakeServer, Reply, Seen
from beluga_llm_ray import generate

ray = pytest.importorskip("ray", reason="Ray is large, and has a session of its own: nox -s ray")

pytestmark = [
    pytest.mark.row("DIST-03"),
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore"),  # Ray's own are many
]
ROWS = 600
MODEL = "openai/gpt-5.4-mini"
"""The model of the README."""


@dataclass
class City:
    name: str


@pytest.fixture(scope="module", autouse=True)
def local_ray() -> Iterator[None]:
    """A Ray for all tests. It may use more cores than there are: its own reader, writer and filter
    of rows ask for a whole one each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")  # it would write a token into the home folder
        ray.init(
            num_cpus=4,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="error",
            object_store_memory=200_000_000,
            runtime_env={"env_vars": {"OPENAI_API_KEY": "sk-of-the-actor"}},
        )
        ray.data.DataContext.get_current().enable_progress_bars = False
        yield
        ray.shutdown()


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer(lambda seen: question_of(seen).upper(), key="sk-of-the-actor") as server:
        yield server


def question_of(seen: Seen) -> str:
    return str(seen.json["messages"][-1]["content"])


def model_at(server: FakeServer) -> dict[str, Any]:
    return {"provider": "openai", "model": "m", "base_url": server.base_url("chat")}


def from_where(row: dict[str, Any]) -> str:
    """Asks for a row, and tells which process does so."""
    return f"{row['id']} {os.getpid()}"


def kills_once(flag: Path, at: str) -> Callable[[Seen], str]:
    """A server that kills the process that asks, in the middle of its work, once."""

    def brain(seen: Seen) -> str:
        row, process = question_of(seen).split()
        if row == at and not flag.exists():
            flag.touch()
            os.kill(int(process), signal.SIGKILL)
        return f"row {row}"

    return brain


def test_rows_come_out_in_their_order_with_all_that_they_had(server: FakeServer):
    rows = [{"id": i, "q": f"row {i}", "about": {"n": i}} for i in range(ROWS)]
    asked = generate(
        ray.data.from_items(rows), model=model_at(server), prompt="q", actors=2, batch_size=50
    )
    found = asked.take_all()
    assert [{k: row[k] for k in ("id", "q", "about")} for row in found] == rows
    assert [row["text"] for row in found] == [f"ROW {i}" for i in range(ROWS)]
    assert len(server.requests) == ROWS
    assert found[0]["usage"]["output_tokens"] > 0
    kinds = dict(zip(asked.schema().names, map(str, asked.schema().types), strict=True))
    assert kinds["json"] == kinds["error"] == "string"


def test_failures_are_rows_and_calls_are_bounded(server: FakeServer):
    running, most = 0, 0

    async def brain(seen: Seen) -> Any:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.002)
        running -= 1
        if question_of(seen) == "3":
            return Reply(status=400, error="no threes")
        return "fine"

    server.default = brain
    config = {**model_at(server), "api_key": "sk-of-the-actor"}
    dataset = ray.data.range(200)
    found = generate(
        dataset,
        model=config,
        prompt=lambda row: str(row["id"]) if row["id"] != 7 else 1 // 0,
        max_concurrency=5,
        batch_size=40,
    ).take_all()
    assert most == 5
    assert [row["id"] for row in found if row["error"]] == [3, 7]
    assert found[3]["error_code"] == "invalid_input"
    assert "no threes" in found[3]["error"]
    assert found[7]["error"].startswith("ZeroDivisionError")
    assert Counter(row["text"] for row in found) == {"fine": 198, None: 2}


def test_messages_and_types_through_arrow(server: FakeServer):
    server.default = lambda seen: json.dumps({"name": seen.json["messages"][0]["content"]})
    cell = [{"role": "system", "content": "Lisbon"}, {"role": "user", "content": "Where?"}]
    dataset = ray.data.from_items([{"text": cell}, {"text": cell[:1]}])
    found = generate(
        dataset, model=model_at(server), prompt="text", schema=City, prefix="answer_"
    ).take_all()
    assert [row["answer_json"] for row in found] == ['{"name":"Lisbon"}'] * 2
    texts = [{one["content"] for one in seen.json["messages"]} for seen in server.requests]
    assert sorted("Where?" in one for one in texts) == [False, True]


def test_connections_are_closed_when_the_job_is_done(server: FakeServer):
    generate(ray.data.range(20), model=model_at(server), prompt=from_where).take_all()
    for _ in range(100):
        if not server.connections:
            break
        ray.get(ray.remote(lambda: None).remote())  # Ray ends actors when it comes to it
    assert not server.connections


def test_an_actor_that_is_killed_loses_and_doubles_no_row(server: FakeServer, tmp_path: Path):
    server.default = kills_once(tmp_path / "killed", "300")
    found = generate(
        ray.data.range(ROWS), model=model_at(server), prompt=from_where, batch_size=50
    ).take_all()
    assert len({question_of(seen).split()[1] for seen in server.requests}) == 2
    assert [row["id"] for row in found] == [*range(ROWS)]
    assert [row["text"] for row in found] == [f"row {i}" for i in range(ROWS)]
    assert ROWS < len(server.requests) <= ROWS + 4 * 50  # what the actor had taken, once more


def test_a_job_is_resumed_by_the_checkpoints_of_ray(server: FakeServer, tmp_path: Path):
    read, written = str(tmp_path / "in"), str(tmp_path / "out")
    ray.data.range(ROWS, override_num_blocks=6).write_parquet(read)
    context = ray.data.DataContext.get_current()
    context.checkpoint_config = {
        "id_column": "id",
        "checkpoint_path": str(tmp_path / "checkpoints"),
        "delete_checkpoint_on_success": False,
    }

    def job(**ray_options: Any) -> None:
        generate(
            ray.data.read_parquet(read),
            model=model_at(server),
            prompt=from_where,
            batch_size=25,
            max_concurrency=4,
            ray_options=ray_options,
        ).write_parquet(written)

    server.default = kills_once(tmp_path / "killed", "450")
    try:
        with pytest.raises(ray.exceptions.RayActorError):
            job(max_restarts=0)
        before = len(server.requests)
        job()
    finally:
        context.checkpoint_config = None
    assert len(server.requests) - before < ROWS
    found = ray.data.read_parquet(written).take_all()
    assert sorted(row["id"] for row in found) == [*range(ROWS)]


@pytest.mark.timeout(600)
async def test_the_blocks_of_the_readme_run(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """With the fake server for OpenAI's, and a folder for those that workers share."""
    from support.doc_blocks import run_page  # here, since actors import this file without it

    text = (Path(__file__).parent.parent / "README.md").read_text("utf-8")
    for place in ('"questions"', '"answers"', '"/mnt/shared/'):
        assert place in text
        text = text.replace(place, place.replace('"', f'"{tmp_path}/', 1))
    page = tmp_path / "README.md"
    page.write_text(text, "utf-8")
    at_server = {**model_at(server), "model": "gpt-5.4-mini"}
    monkeypatch.setattr(beluga_llm_ray, "generate", functools.partial(named, {MODEL: at_server}))
    rows = [{"id": n, "question": f"row {n}"} for n in range(3)]
    ray.data.from_items(rows, override_num_blocks=1).write_parquet(str(tmp_path / "questions"))
    try:
        assert len([block async for block, _ in run_page(page)]) == 2  # Ray prints what it likes
    finally:
        ray.data.DataContext.get_current().checkpoint_config = None
    answers = ray.data.read_parquet(str(tmp_path / "answers")).take_all()
    assert {row["text"] for row in answers} == {"ROW 0", "ROW 1", "ROW 2"}


def named(models: dict[str, Any], *args: Any, model: str, **kwargs: Any) -> Any:
    """`generate` with the models that are meant by their names, and one actor: each takes time."""
    return generate(*args, model=models[model], **{**kwargs, "actors": 1})


def test_a_model_that_cannot_be_made_ends_the_job():
    with pytest.raises(ray.exceptions.RayActorError, match="unknown provider 'nowhere'"):
        generate(ray.data.range(3), model="nowhere/m", prompt=from_where).take_all()


def test_what_is_wrong_with_the_dataset_is_told_before_the_job():
    dataset = ray.data.from_items([{"text": "Hi"}])
    with pytest.raises(llm.ConfigError, match="no column 'q'"):
        generate(dataset, model="demo", prompt="q")
    with pytest.raises(llm.ConfigError, match="already: 'text'"):
        generate(dataset, model="demo", prompt="text")


def test_what_cannot_be_sent_is_told_before_the_job():
    config = {"provider": "openai", "api_key": llm.plugin.Secret("sk-secret")}
    with pytest.raises(llm.ConfigError, match="cannot be sent to actors: .*Secret") as caught:
        generate(ray.data.range(1), model=config, prompt="id")
    assert "sk-secret" not in str(caught.value)
