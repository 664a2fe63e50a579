"""Fuzzing of the entry points by which bytes of strangers come in, with atheris."""
