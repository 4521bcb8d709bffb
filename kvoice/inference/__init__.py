"""Uses trained models: one file for each verb, and the functions that verbs share."""
