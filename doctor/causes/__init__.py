"""Why something happened: the known symptoms, their causes, and which of them fit."""
