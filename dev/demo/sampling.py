"""Samples the demo's model with the pack's patch on it, and keeps what ran where."""

import math
from collections import Counter
from dataclasses import dataclass, field

import torch

from ...core.attention.guard import Forward
from ...core.attention.model import guarded
from ...core.attention.override import Override
from ...core.attention.patch import FORWARD_KEY, PATCH_KEY, Patch
from ...core.attention.plan import Routed
from ...core.attention.run import Run
from ...core.attention.settings import Settings
from ...core.session import Session
from .model import Model, host_attention

HOST = "ComfyUI's own"


@dataclass
class Attempt:
    """One forward of the model.

    Attributes:
        step: Its number, from 0 on.
        ran: The name of the kernel of each block's self-attention, in order.
        again: It repeats the forward before it.
        finite: What it gave holds no NaN or Inf.
    """

    step: int
    ran: list[str] = field(default_factory=list)
    again: bool = False
    finite: bool = True


@dataclass
class Sampled:
    """One sampling run.

    Attributes:
        latent: What it ended with.
        attempts: Every forward.
        run: The pack's own report of it; None where no patch was on the model.
        outputs: What each step took from the model.
        inputs: What each step gave to it.
    """

    latent: torch.Tensor
    attempts: list[Attempt] = field(default_factory=list)
    run: Run | None = None
    outputs: list[torch.Tensor] = field(default_factory=list)
    inputs: list[torch.Tensor] = field(default_factory=list)


def plain(model: Model, x: torch.Tensor, step: int) -> torch.Tensor:
    """One forward without any patch."""
    return model(x, step, host_attention, {})


def sample(model: Model, settings: Settings, session: Session, with_guard: bool = True) -> Sampled:
    """A sampling run with the patch, driven as ``core/attention/model.py`` drives it in ComfyUI."""
    patch = Patch(settings, session)
    override = Override(patch)
    attempts: list[Attempt] = []

    def attention(q, k, v, heads, transformer_options):
        before = Counter(patch.report.open.counts)
        out = override(host_attention, q, k, v, heads, transformer_options=transformer_options)
        if q.shape == k.shape:
            (plan,) = patch.report.open.counts - before
            attempts[-1].ran.append(plan.name if isinstance(plan, Routed) else HOST)
        return out

    def forward(x, step: int):
        state = patch.guard.begin() if with_guard else Forward()

        def run():
            attempts.append(Attempt(step, again=state.recheck))
            out = model(x, step, attention, {PATCH_KEY: patch, FORWARD_KEY: state})
            attempts[-1].finite = math.isfinite(float(out.sum(dtype=torch.float32)))
            return out

        return guarded(patch, state, run) if with_guard else run()

    patch.report.begin("a small transformer")
    sampled = _sampled(model, forward)
    patch.report.end()
    sampled.attempts, sampled.run = attempts, session.runs.kept[-1]
    return sampled


def sample_plain(model: Model) -> Sampled:
    """The same without any patch."""
    return _sampled(model, lambda x, step: plain(model, x, step))


def _sampled(model: Model, forward) -> Sampled:
    sampled = Sampled(model.noise)
    for step in range(model.size.steps):
        x = sampled.latent
        out = forward(x, step)
        sampled.inputs.append(x)
        sampled.outputs.append(out)
        sampled.latent = x + (out - x) / model.size.steps
    return sampled
