"""The commands: a file for each verb, its words and flags over a function of the library."""
