"""Weights from elsewhere."""

PUBLISHED = ("adainvc", "speakerencoder", "waveglow")  # models of which published weights are known
