"""What answers cost, and budgets that keep to a sum."""

from beluga_llm._pricing.cost import cost_of as cost_of
