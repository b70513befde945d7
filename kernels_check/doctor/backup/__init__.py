"""Backup and restore of a Python environment: an embedded Python or a venv, as one folder."""

from .place import Place, find
from .verbs import VERBS, restore_command, run, step_before_a_fix

__all__ = ["VERBS", "Place", "find", "restore_command", "run", "step_before_a_fix"]
