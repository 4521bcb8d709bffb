"""Corpora, their shards and features, and the batches that models are trained on."""
