"""Typed values instead of text: `structured(model, T)`.

`target.py` knows what is asked for, `strategies.py` how it is asked, `answers.py` finds the value
in what came back, `model.py` asks again where it was wrong, `stream.py` shows it while it grows.
"""
