"""Commands for a person's terminal: how they are quoted, and where the terminal is opened."""
