"""What trained models do: one file for each verb, and what verbs share."""
