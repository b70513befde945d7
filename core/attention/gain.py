"""What a run gained by the times measured, where its time went, and what would gain more.

Worked out from the calls of each class when somebody asks; nothing is counted for it while a model runs.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ...kernels.select import BUDGETS
from ...machine.message import Message
from ..catalogue import ATTENTION
from .plan import Decided, OnHost, Routed
from .routes import TIE
from .settings import AUTO, Settings

if TYPE_CHECKING:
    from .routes import Times
    from .run import Run

# Classes of calls with a part of their own in the bar of a run's time; the others are one part together.
SHOWN_PARTS = 5
# A gain that is smaller is no advice, and in a run no gain: two runs alike differ by as much.
LEAST = 1.02
# The change of settings that drops the node's ranges of steps and blocks; others are named by their value.
RANGE = "range"


def seconds_saved(counts: Mapping[Decided, int]) -> float | None:
    """What the host's own attention would have taken longer, by the times measured; None without any."""
    timed = [
        (plan.host_milliseconds - plan.milliseconds) * calls
        for plan, calls in counts.items()
        if isinstance(plan, Routed) and plan.milliseconds and plan.host_milliseconds
    ]
    return sum(timed) / 1000 if timed else None


def factor(counts: Mapping[Decided, int], seconds: float, measuring: float) -> float | None:
    """How many times as long a run would have taken with the host's own attention; None where not known.

    Args:
        counts: Calls by plan.
        seconds: What it has taken so far.
        measuring: How many of these went into measuring, which the host's own attention does not need.
    """
    saved = seconds_saved(counts)
    return None if saved is None or seconds <= 0 else max(0.0, seconds - measuring + saved) / seconds


def as_data(run: "Run", seconds: float, times: "Times") -> dict[str, Any]:
    """What a page says of a run's speed, as JSON-ready values; fields are only ever added.

    Args:
        run: The run; a copy, where it goes on.
        seconds: What it has taken so far.
        times: What is known of the kernels, those that did not run included.
    """
    gain, saved = factor(run.counts, seconds, run.measuring), seconds_saved(run.counts)
    parts = _parts(run.counts)
    return {
        "seconds": round(seconds, 3),
        "without": None if gain is None else round(seconds * gain, 3),
        "gain": None if gain is None else round(gain, 3),
        "saved": None if gain is None else round(seconds * gain - seconds, 3),
        "attention_saved": None if saved is None else round(saved, 3),
        "measuring": round(run.measuring, 3),
        "timed_calls": sum(calls for plan, calls in run.counts.items() if _gains_what_is_known(plan)),
        "calls": run.calls,
        "parts": _fewer(parts),
        "advice": _advice(run, seconds, parts, times),
    }


def _gains_what_is_known(plan: Decided) -> bool:
    """On ComfyUI's own attention a call gains nothing, timed or not."""
    return isinstance(plan, OnHost) or bool(plan.milliseconds and plan.host_milliseconds)


def _parts(counts: Mapping[Decided, int]) -> list[dict[str, Any]]:
    """The seconds that calls took, by kernel and what people call such calls; most first."""
    merged: dict[tuple[str, int, int], dict[str, Any]] = {}
    for plan, calls in counts.items():
        if plan.call is None or not plan.milliseconds:
            continue
        kernel = plan.name if isinstance(plan, Routed) else ""
        tokens, keys = plan.call.q_len, plan.call.kv_len
        kind = "self" if tokens == keys else "cross"
        facts = {"kernel": kernel, "kind": kind, "tokens": tokens, "keys": keys, "seconds": 0.0, "calls": 0}
        one = merged.setdefault((kernel, tokens, keys), facts)
        one["seconds"] += plan.milliseconds * calls / 1000
        one["calls"] += calls
    return sorted(merged.values(), key=lambda one: -one["seconds"])


def _fewer(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The largest parts, and by kernel what is left."""
    shown, rest = parts[:SHOWN_PARTS], parts[SHOWN_PARTS:]
    others: dict[str, dict[str, Any]] = {}
    for one in rest:
        facts = {"kernel": one["kernel"], "kind": "other", "tokens": 0, "keys": 0, "seconds": 0.0, "calls": 0}
        other = others.setdefault(one["kernel"], facts)
        other["seconds"] += one["seconds"]
        other["calls"] += one["calls"]
    return [{**one, "seconds": round(one["seconds"], 4)} for one in (*shown, *others.values())]


def _advice(run: "Run", seconds: float, parts: list[dict[str, Any]], times: "Times") -> Message | None:
    """One sentence on what would make such a run faster; None where nothing is known."""
    if not run.counts or run.failed:
        return None
    if best := _best_change(run, seconds, times):
        return best
    if run.settings.kernel != AUTO and not parts:
        return ATTENTION("advice-auto-measures")
    if all(isinstance(plan, OnHost) and plan.why == "device" for plan in run.counts):
        return ATTENTION("advice-device")
    if any(_has(plan, "unchecked") for plan in run.counts):
        return ATTENTION("advice-unchecked")
    share = sum(one["seconds"] for one in parts) / seconds if seconds > 0 else 0.0
    return ATTENTION("advice-attention", share=min(1.0, share)) if parts else None


def _best_change(run: "Run", seconds: float, times: "Times") -> Message | None:
    """The setting that would have saved most by the times measured, where that is worth a sentence."""
    saved: defaultdict[str, float] = defaultdict(float)
    calls: Counter[str] = Counter()
    kernels: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for change, kernel, won, count in _changes(run, times):
        saved[change] += won
        calls[change] += count
        kernels[change][kernel] += count
    if not saved or seconds <= 0:
        return None
    change = max(saved, key=lambda one: saved[one])
    # More than the whole run: GPUs that work side by side, whose times do not add up.
    gain = seconds / (seconds - saved[change]) if saved[change] < seconds else 0.0
    if gain < LEAST:
        return None
    kernel = kernels[change].most_common(1)[0][0]
    if change == AUTO:
        return ATTENTION("advice-auto", kernel=kernel, gain=gain)
    if change == RANGE:
        return ATTENTION("advice-range", calls=calls[change], gain=gain)
    return ATTENTION("advice-quality", quality=change, kernel=kernel, gain=gain)


def _changes(run: "Run", times: "Times") -> Iterator[tuple[str, str, float, int]]:
    """What other settings would have done with each class: the setting, the kernel, seconds saved, calls."""
    settings = run.settings
    # A class that ran quantised elsewhere in the run is exact only where the node says so.
    free = {str(plan.call) for plan in run.counts if plan.call is not None and not plan.exact}
    for plan, calls in run.counts.items():
        now = _milliseconds(plan, times)
        if plan.call is None or now is None:
            continue
        call, gpu = str(plan.call), plan.call.gpu
        by_time = sorted(times.of_kernels(gpu, call).items(), key=lambda one: one[1])
        for kernel, milliseconds in by_time:
            if milliseconds * TIE >= now or kernel == getattr(plan, "name", ""):
                continue
            if change := _change_for(plan, kernel, settings, call in free):
                yield change, kernel, (now - milliseconds) * calls / 1000, calls
                break


def _milliseconds(plan: Decided, times: "Times") -> float | None:
    """What a call takes as it ran."""
    if plan.milliseconds or plan.call is None:
        return plan.milliseconds
    gpu, call = plan.call.gpu, str(plan.call)
    ours = times.of_kernels(gpu, call)
    if isinstance(plan, Routed):
        return ours.get(plan.name)
    return min((one for name, one in times.of(gpu, call).items() if name not in ours), default=None)


def _change_for(plan: Decided, kernel: str, settings: Settings, is_free: bool) -> str:
    """The setting under which a faster kernel would have run; "" where none is known to let it."""
    if settings.kernel != AUTO:
        return AUTO
    reasons = dict(plan.passed_over).get(kernel, ())
    codes = {reason.code for reason in reasons}
    if codes == {"precision"} and is_free and (settings.limits_steps or settings.limits_blocks):
        return RANGE
    if codes == {"error"}:
        (reason,) = reasons
        error = getattr(reason.needed, "values", {}).get("error")
        looser = [
            one for one, budget in BUDGETS.items() if error is not None and settings.budget < error <= budget
        ]
        return looser[0] if looser else ""
    return ""


def _has(plan: Decided, code: str) -> bool:
    return any(reason.code == code for _, reasons in plan.passed_over for reason in reasons)
