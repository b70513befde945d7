"""What ends the doctor's work with one line for the user and exit code 3."""


class DoctorError(Exception):
    """A sentence: what was asked, why it can not be done, what to do."""
