"""Never spend more than a few cents a day, and know what each answer cost.

Every attempt reserves what it may cost before it is sent, so that calls at once cannot
overdraw it together.
"""

from __future__ import annotations

import asyncio
import os

import beluga_llm as llm

MODEL = os.environ.get("BELUGA_MODEL", "demo")
PRICES = {"demo": llm.Price(3, 15)}
"""US dollars for a million tokens; the extra `prices` knows those of the vendors."""


async def main() -> None:
    """Asks until the budget is used up."""
    budget = llm.Budget("0.002", prices=PRICES if MODEL == "demo" else None)
    model = llm.create(MODEL).with_middleware(llm.with_retry(), llm.with_budget(budget))
    async with model:
        for number in range(1, 100):
            try:
                reply = await model.generate("Tell me a story", max_tokens=50)
            except llm.BudgetExhaustedError as error:
                print(f"call {number} was not sent: {error.message}")
                break
            cost = llm.cost_of(reply, budget.prices, provider=model.provider)
            print(f"call {number}: {cost} dollars, {budget.spent} today")


if __name__ == "__main__":
    asyncio.run(main())
