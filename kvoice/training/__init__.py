"""Training: the loop around Keras' `fit`, and what watches it."""
