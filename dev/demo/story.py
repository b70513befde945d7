"""Tells what happened, in text: the kernel check, what ran where, and a faulty kernel under the guard."""

import logging
import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import torch

from ... import check
from ...check.probe import Probe
from ...check.verdicts import Verdict
from ...core.attention.proofs import UNCHECKED
from ...core.attention.settings import AUTO, Settings
from ...core.session import Session
from ...kernels.backend import Backend
from ...kernels.families import backends
from ...machine.reason import Reason
from .model import LOUD_BLOCK, LOUD_STEP, LOUDNESS, ON_CPU, ON_GPU, Model
from .sampling import HOST, Attempt, Sampled, plain, sample, sample_plain

DECLARATIONS = Path(__file__).resolve().parent / "kernels.py"
# It passes the check, and fails later.
FAULTY = "stand-in-fp16"
# Part of a line that is given to what an error or a reason says.
_TOLD = 76


def tell() -> Iterator[str]:
    """Line after line, each as soon as it is known."""
    device, trouble = usable_device()
    if trouble:
        yield f"\nThe GPU is left out, since this torch does not run on it: {trouble}"
    model = Model(ON_GPU if device == "cuda" else ON_CPU, device)
    size = model.size
    name = torch.cuda.get_device_name() if device == "cuda" else "the CPU"
    yield f"\nSageKit without ComfyUI, on {name} with torch {torch.__version__}: the pack's own kernel check,"
    yield "dispatch, guard and report over a transformer with random weights:"
    yield f"{size.blocks} blocks, {size.heads} heads of {size.head_dim}, {size.steps} steps,"
    yield f"{size.tokens} tokens, a text of {size.text} tokens, {_name(size.dtype)}."
    log = _listen()
    offered, elsewhere = _kernels(device)
    verdicts: dict[str, Verdict] = {}
    yield "\n1. The kernel check. A child process tries each kernel against float32 attention:\n"
    for name, verdict in _checked(offered, device):
        verdicts[name] = verdict
        yield f"   {name:16}  {offered[name].title}"
        yield f"   {'':16}  -> {_cut(str(verdict))}"
    if elsewhere:
        need = "a package" if device == "cuda" else "an NVIDIA GPU"
        yield f"   {len(elsewhere)} more need {need}: {_names(elsewhere)}"
    yield "   A stand-in does in plain tensor operations what a kernel on a GPU does, or did wrong."
    session = Session(offered, unproven=lambda backend, gpu: _unproven(verdicts.get(backend.name)))
    with torch.inference_mode():
        yield from _automatic(model, session, log)
        yield from _guarded(model, session, log)


def usable_device() -> tuple[str, str]:
    """("cuda" or "cpu", why a GPU that torch sees does not serve: its builds leave out older ones)."""
    if not torch.cuda.is_available():
        return "cpu", ""
    try:
        torch.zeros(8, device="cuda").sum().item()
    except (RuntimeError, AssertionError) as error:
        return "cpu", str(error).strip().partition("\n")[0]
    return "cuda", ""


def _listen() -> list[str]:
    """What the pack writes into ComfyUI's log, as it comes."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    pack = logging.getLogger(check.__name__.rpartition(".")[0])
    pack.addHandler(handler)
    pack.setLevel(logging.INFO)
    pack.propagate = False
    return lines


def declared() -> tuple[Backend, ...]:
    """The demo's own kernels, as the check's child process declares them."""
    name = f"{check.__name__}.demo"
    if name not in sys.modules:
        spec = spec_from_file_location(name, DECLARATIONS)
        sys.modules[name] = module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name].declare()


def _kernels(device: str) -> tuple[dict[str, Backend], list[Backend]]:
    """Those to show by name, and those that this machine cannot run."""
    own = [one for one in declared() if device == "cpu" or one.name != "cpu-flash"]
    real = backends().values()
    runs = [one for one in real if device == "cuda" and not one.machine]
    offered = {one.name: one for one in (*runs, *own)}
    return offered, [one for one in real if one.name not in offered]


def _checked(offered: dict[str, Backend], device: str) -> Iterator[tuple[str, Verdict]]:
    with Probe("cuda:0" if device == "cuda" else device, declarations=DECLARATIONS) as probe:
        yield from ((name, probe.check(name)) for name in offered)


def _unproven(verdict: Verdict | None) -> Reason | None:
    if verdict is None:
        return UNCHECKED
    return None if verdict.is_good else verdict.as_reason()


def _automatic(model: Model, session: Session, log: list[str]) -> Iterator[str]:
    yield '\n2. Sampling with kernel "auto". Each size of call is measured once; the fastest kernel that is'
    yield f"   exact enough runs, or {HOST} attention:\n"
    run = session.runs.data_of(sample(model, Settings(AUTO), session).run)
    row = "   {:20} {:>5}   {:16} {:>7} {:>15}   {}"
    yield row.format("attention", "calls", "ran", "ms", f"{HOST} ms", "error")
    others: dict[str, list[str]] = {}
    for one in run["classes"]:
        what = "to the text" if f"x{model.size.text}" in one["call"] else "of the tokens"
        ms, host = (f"{one[key]:.2f}" if one[key] else "" for key in ("milliseconds", "host_milliseconds"))
        error = f"{one['error']:.0e}" if one["error"] else ""
        yield row.format(what, one["calls"], one["kernel"] or HOST, ms, host, error)
        others = one["passed_over"] | others
    yield "   Why not the others:"
    yield from (
        f"     {name:16} {_cut('; '.join(reasons))}" for name, reasons in others.items() if _may_run(name)
    )
    yield from _said(log)


def _may_run(name: str) -> bool:
    """Whether a kernel is one of those shown: the list of all others is long."""
    return name in {one.name for one in declared()} or not backends()[name].machine


def _guarded(model: Model, session: Session, log: list[str]) -> Iterator[str]:
    yield f"\n3. The guard. {FAULTY} is named on the node. From step {LOUD_STEP} on, values in block"
    yield f"   {LOUD_BLOCK} are around {LOUDNESS:,.0f}, and float16 ends at 65,504. (The check tries such"
    yield "   values; for this stand-in it left them out.)\n"
    settings = Settings(FAULTY)
    loose = sample(model, settings, session, with_guard=False)
    log.clear()
    sampled = sample(model, settings, session)
    numbers = " ".join(str(one) for one in range(model.size.blocks))
    yield f"   block    {numbers}   q = {FAULTY}, . = {HOST} attention"
    yield from (_row(attempt) for attempt in sampled.attempts)
    yield ""
    for step in (one.step for one in sampled.attempts if one.again):
        same = torch.equal(sampled.outputs[step], plain(model, sampled.inputs[step], step))
        verdict = "the same to the bit" if same else "NOT the same"
        yield f"   What left the model in step {step}, against a step without the pack: {verdict}."
    exact = sample_plain(model).latent.float()
    distance = float((sampled.latent.float() - exact).norm() / exact.norm())
    yield f"   The end of the sampling: {_state(sampled)}, {distance:.0e} from a sampling without the pack."
    yield f"   The same without the guard: {_state(loose)}."
    yield from _said(log)


def _row(attempt: Attempt) -> str:
    letters = " ".join("q" if name == FAULTY else "." for name in attempt.ran)
    what = "the same step again, exactly" if attempt.again else "" if attempt.finite else "NaN: kept in"
    return f"   step {attempt.step:2}  {letters}   {what}".rstrip()


def _state(sampled: Sampled) -> str:
    return "finite" if bool(torch.isfinite(sampled.latent).all()) else "NaN"


def _said(lines: list[str]) -> Iterator[str]:
    yield "   In ComfyUI's log:"
    for line in lines:
        words, _, rest = line.partition("; ")
        yield f"     {words}{';' if rest else ''}"
        if rest:
            yield f"       {rest}"
    lines.clear()


def _cut(text: str) -> str:
    return text if len(text) <= _TOLD else f"{text[:_TOLD].rpartition(' ')[0]} ..."


def _names(found: list[Backend]) -> str:
    names = [one.name for one in found]
    return ", ".join(names[:4]) + (" ..." if len(names) > 4 else "")


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
