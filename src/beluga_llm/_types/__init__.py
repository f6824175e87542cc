"""Python types as JSON Schema, and JSON values as values of them.

A type is read once, from its annotations, into a tree of shapes (`build.py`). Each shape writes its
schema and reads values; one file per kind of type. msgspec checks and converts the leaves (numbers,
texts, dates); what it cannot do is done here: unions of several classes, every problem of a value
with its path and not only the first, classes made by their own `__init__` with its converters and
validators, and pydantic's models among the others.
"""
