"""The commands: one file for each verb, with its words and flags, over a function of the
library.
"""
