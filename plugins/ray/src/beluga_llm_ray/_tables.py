"""Arrow tables: what rows ask, and the columns that come of it."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import beluga_llm as llm
from beluga_llm_ray._rows import COLUMNS, TEXTS, USAGE, Outcome
from beluga_llm_ray._settings import OP, Settings


def check_columns(names: Sequence[str], settings: Settings) -> None:
    """Raises ConfigError where the column of prompts is missing, or a new name is taken."""
    prompt = settings.prompt
    if isinstance(prompt, str) and prompt not in names:
        raise llm.ConfigError(
            f"the dataset has no column {prompt!r} (it has: {', '.join(names)})", op=OP
        )
    if taken := [name for name in COLUMNS if settings.prefix + name in names]:
        shown = ", ".join(repr(settings.prefix + name) for name in taken)
        raise llm.ConfigError(
            f"the dataset has columns of these names already: {shown}; "
            "give a prefix for the new ones, such as prefix='answer_'",
            op=OP,
        )


def questions(table: Any, settings: Settings) -> list[Any]:
    """What each row asks; where a function of the row failed, its exception."""
    check_columns(table.column_names, settings)
    if isinstance(settings.prompt, str):
        return list(table.column(settings.prompt).to_pylist())
    found: list[Any] = []
    for row in table.to_pylist():
        try:
            found.append(settings.prompt(row))
        except Exception as error:  # noqa: BLE001 -- the outcome of this row
            found.append(error)
    return found


def with_outcomes(table: Any, outcomes: Sequence[Outcome], prefix: str) -> Any:
    """The table with the new columns; their types are the same whatever came."""
    pa: Any = importlib.import_module("pyarrow")
    kinds = dict.fromkeys(TEXTS, pa.string())
    kinds["usage"] = pa.struct([(name, pa.int64()) for name in USAGE])
    for name in COLUMNS:
        values = pa.array([outcome[name] for outcome in outcomes], kinds[name])
        table = table.append_column(pa.field(prefix + name, kinds[name]), values)
    return table
