"""`generate`: a stage of a dataset."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import beluga_llm as llm
from beluga_llm_ray._actor import Answers
from beluga_llm_ray._settings import OP, ModelSource, Prompt, Settings, Store
from beluga_llm_ray._tables import check_columns

if TYPE_CHECKING:
    from ray.data import Dataset  # type: ignore[import-not-found]  # no dependency of ours

SHARE = 0.25
"""Of a core, that Ray sets aside for an actor: it waits far more than it computes."""

OURS = frozenset(
    (
        "fn",
        "fn_constructor_args",
        "batch_size",
        "batch_format",
        "compute",
        "udf_modifying_row_count",
    )
)
"""Arguments of `map_batches` that the stage gives itself."""


def generate(
    dataset: Dataset,
    *,
    model: ModelSource,
    prompt: Prompt,
    schema: Any = None,
    actors: int | tuple[int, int] = 1,
    max_concurrency: int = 32,
    batch_size: int = 256,
    limits: llm.ProviderLimits | Mapping[str, Any] | None = None,
    store: Store | None = None,
    prefix: str = "",
    keep_order: bool = True,
    ray_options: Mapping[str, Any] | None = None,
    options: llm.GenerateOptions | None = None,
    **keywords: Any,
) -> Dataset:
    """The dataset with an answer for each row, in new columns beside all that it has.

        answers = generate(dataset, model="openai/gpt-5.4-mini", prompt="question", actors=4)
        answers.write_parquet("answers")

    Like every stage of Ray Data it begins when somebody reads the result. The new columns are
    `text`, `json` (a text; null without a schema), `finish_reason`, `usage` (a struct of token
    counts), `error_code` and `error`. A row that fails has an error and no text; the job goes on.

    Args:
        dataset: of Ray Data.
        model: a name as `create` takes it, which is retried as `with_retry` does; a mapping as
            `create_from_config` takes it; or a function that makes the model, with all that is to
            be around it. Each actor makes its own, with the keys of its own environment.
        prompt: the column with prompts: texts, or lists of messages as chat completions have them.
            Or a function of a row, a dict, that gives what `ChatModel.generate` takes.
        schema: a type as `structured` takes it, or a JSON Schema as a dict; the answers are in
            the column `json`.
        actors: how many; or the least and the most, between which Ray chooses.
        max_concurrency: calls that each actor has under way at most.
        batch_size: rows that an actor takes at a time: what is asked again when it dies.
        limits: what each actor may ask of the provider; with a store, all of them together.
        store: keeps the counts of limits for all actors: the URL of a Redis server, for which
            `beluga-llm-redis` is needed, or a function that makes a store.
        prefix: goes before the names of the new columns.
        keep_order: whether the rows come out in the order in which they came; False lets those
            that are done first come first.
        ray_options: further arguments of `Dataset.map_batches`, such as `{"runtime_env": ...}`;
            `num_cpus` is 0.25 if it is not given.
        options: a layer of options under the keywords.
        **keywords: options of every call, such as `temperature=0` and `timeout=60`.

    Raises:
        ConfigError: settings are wrong, or cannot be sent to actors; the dataset lacks the column,
            or has one of the new ones.
        TypeError: an option is unknown.
        ImportError: Ray is not installed.
    """
    settings = Settings(
        model=model,
        prompt=prompt,
        schema=schema,
        max_concurrency=max_concurrency,
        limits=limits,
        store=store,
        prefix=prefix,
        options=options,
        keywords=keywords,
    )
    if type(batch_size) is not int or batch_size < 1:
        raise llm.ConfigError(
            f"batch_size must be an integer of at least 1, got {batch_size!r}", op=OP
        )
    if not isinstance(ray_options, Mapping | None) or OURS & set(ray_options or ()):
        raise llm.ConfigError(
            "ray_options must be a mapping of arguments of map_batches other than "
            f"{', '.join(sorted(OURS))}",
            op=OP,
        )
    least, most = _pool(actors)
    data = _ray_data()
    _check_sendable(settings)
    if (names := dataset.columns(fetch_if_missing=False)) is not None:
        check_columns(names, settings)
    if keep_order:  # a dataset has a context of its own
        dataset.context.execution_options.preserve_order = True
    # Small blocks: an actor that dies costs one of them, and each comes out whole or not at all.
    # One block more than fills the places, so that none is empty while a block ends.
    blocks = 1 + -(-max_concurrency // batch_size)
    return dataset.repartition(target_num_rows_per_block=batch_size).map_batches(
        Answers,
        fn_constructor_args=(settings,),
        batch_size=None,
        batch_format="pyarrow",
        udf_modifying_row_count=False,
        compute=data.ActorPoolStrategy(
            min_size=least,
            max_size=most,
            max_concurrent_calls_per_actor=blocks,
            enable_true_multi_threading=True,
        ),
        **{"num_cpus": SHARE, **(ray_options or {})},
    )


def _pool(actors: Any) -> tuple[int, int]:
    """The least and the most actors.

    Raises:
        ConfigError: they are not two positive integers, the least first.
    """
    match actors:
        case int(size) if size >= 1 and not isinstance(size, bool):
            return size, size
        case (int(least), int(most)) if 1 <= least <= most:
            return least, most
    text = f"actors must be a number of at least 1, or the least and the most, got {actors!r}"
    raise llm.ConfigError(text, op=OP)


def _ray_data() -> Any:
    """Ray Data.

    Raises:
        ImportError: it is not installed, and how it is.
    """
    try:
        return importlib.import_module("ray.data")
    except ImportError as error:
        text = 'beluga_llm_ray needs Ray Data: pip install "beluga-llm-ray[ray]"'
        raise ImportError(f"{text} ({error})") from error


def _check_sendable(settings: Settings) -> None:
    """Raises ConfigError where the settings cannot go to another process."""
    pickler: Any = importlib.import_module("ray.cloudpickle")
    try:
        pickler.dumps(settings)
    except Exception as error:  # pickling raises anything
        text = f"the settings cannot be sent to actors: {type(error).__name__}: {error}"
        raise llm.ConfigError(text, op=OP) from error
