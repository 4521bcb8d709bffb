"""Corpora, shards and features."""
