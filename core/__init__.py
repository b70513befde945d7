"""What each node does to a MODEL."""
