"""Training: the loop around Keras' `fit`, its callbacks, config and corpus."""
