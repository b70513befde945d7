"""The plan as a file that a person starts."""
