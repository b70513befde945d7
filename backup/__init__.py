"""Backup and restore of a Python environment: an embedded Python or a venv, as one folder."""
