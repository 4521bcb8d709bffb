"""The one exception that a user is meant to read."""


class KvoiceError(ValueError):
    """A user's mistake or bad input: its text is the one line that the command shows.

    The text names the file or field, says what was expected, and the way out.
    """
