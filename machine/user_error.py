"""What ends a command with one line for the user and exit code 3."""


class UserError(Exception):
    """A sentence: what was asked, why it cannot be done, what to do."""
