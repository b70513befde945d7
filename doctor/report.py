"""One block to paste into an issue: versions, verdicts and the plan, and nobody's name or folders."""

from collections.abc import Iterable
from pathlib import Path

from ..machine.redaction import redact


def block(lines: Iterable[str], names: Iterable[str] = (), comfyui: Path | None = None) -> str:
    """The lines as one block for a forum, redacted.

    Args:
        lines: What the check printed.
        names: Of the user and the computer, which are taken out wherever they stand.
        comfyui: The folder of the host: its own name is the first part that is told.
    """
    return "\n".join(["```text", *(redact(line, names, comfyui) for line in lines), "```"])
