"""How good trained models are: one file for each model, and what judges them."""
