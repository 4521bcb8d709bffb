"""Corpora that nobody had to record: speech, tones and digits, made here."""
