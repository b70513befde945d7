"""The doctor: what to install here and how to go back, what an error means. It changes nothing itself."""
