"""What somebody pasted, read: its lines, the facts it tells, the events in it."""
