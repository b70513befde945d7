"""What the kernels that failed the check said, for a plan and its answers."""

from collections.abc import Mapping

from ..verdicts import CRASHED, NOT_IMPORTABLE, Verdict

Found = Mapping[str, Mapping[str, Verdict]]


def errors(found: Found) -> str:
    """The errors of those that crash or do not import, each once, a line or more each."""
    return "\n".join(sorted({one.detail for one in _all(found) if one.state in (CRASHED, NOT_IMPORTABLE)}))


def broken(found: Found) -> dict[str, str]:
    """SageAttention with its error, where a kernel of it does not import on any GPU."""
    said = [
        verdict.detail
        for of_gpu in found.values()
        for name, verdict in of_gpu.items()
        if verdict.state == NOT_IMPORTABLE and name.startswith(("sage1", "sage2"))
    ]
    return {"sageattention": said[0]} if said else {}


def _all(found: Found) -> list[Verdict]:
    return [verdict for of_gpu in found.values() for verdict in of_gpu.values()]
