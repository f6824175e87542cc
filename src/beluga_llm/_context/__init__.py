"""Fitting a conversation into a number of tokens without breaking it."""
