"""No black frame: kernels that give NaN or Inf from some call on, in some block, or only together."""

import inspect
import itertools
import logging
from dataclasses import replace

import pytest
import torch
from sagekit.check.reference import relative_error
from sagekit.core.attention import guard, report
from sagekit.core.attention import model as host_model
from sagekit.core.attention.dispatch import Kernels
from sagekit.core.attention.guard import is_finite
from sagekit.core.attention.settings import Settings
from sagekit.kernels.kinds import EXACT, QUANTISED
from support import fake_kernels
from support.compiling import lora
from support.sampling import STEPS, numbers_blocks, sample
from support.tiny_architectures import ARCHITECTURES, build, fill, sample_at

CALLS = 4 * STEPS  # two blocks with a self- and a cross-attention each
CLASSES = 1  # the self- and the cross-attention of the tiny model look alike


@pytest.fixture
def guarded(wan, monkeypatch, session):
    """guarded(attend) -> a patched model that runs it as a quantised kernel, and the log of its calls.

    The tiny model's steps take milliseconds; samples are made cheap, so that there is time for all of them.
    """
    monkeypatch.setattr(guard, "SAMPLE_SECONDS", 1e-9)
    monkeypatch.setattr(guard.Guard, "took", lambda self, seconds: None)

    def make(breaks, on=None, kind=QUANTISED, before=lambda call, tensors: None, **settings):
        calls = []

        def attend(q, k, v, *, mask=None, scale=None):
            calls.append(len(calls))
            before(len(calls) - 1, (q, k, v))
            out = fake_kernels.float32_attention(q, k, v, mask=mask, scale=scale)
            return breaks(len(calls) - 1, out)

        backend = fake_kernels.backend(attend=attend, kind=kind)
        session.kernels = Kernels({"fake": backend})
        return host_model.patch_model(on or wan, Settings("fake", **settings), session), calls

    return make


def with_one(value):
    def spoil(out):
        out = out.clone()
        out.view(-1)[7] = value
        return out

    return spoil


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("first", [CLASSES, CALLS // 2, CALLS - 1])
def test_the_latent_is_that_of_exact_attention_from_whatever_call_on_the_kernel_fails(
    wan, guarded, caplog, first, value
):
    right = sample(wan)
    model, calls = guarded(lambda call, out: with_one(value)(out) if call >= first else out)
    with caplog.at_level(logging.INFO):
        latent = sample(model)
    assert torch.isfinite(latent).all() and relative_error(latent, right) < 0.02
    assert caplog.text.count("gave NaN or Inf") == 1
    # From the first failure on, each place is tried once more at most, beside an exact kernel.
    assert len(calls) <= CALLS + 4


WRONG = {
    "zeros": torch.zeros_like,
    "noise": torch.randn_like,
    "of another head": lambda out: out.roll(1, dims=1),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("first", [CLASSES, CALLS // 2, CALLS - 4])
def test_finite_answers_that_are_wrong_are_seen_in_the_same_step(wan, guarded, caplog, first, wrong):
    right = sample(wan)
    model, calls = guarded(lambda call, out: wrong(out) if call >= first else out)
    with caplog.at_level(logging.INFO):
        latent = sample(model)
    assert relative_error(latent, right) < 0.02
    assert caplog.text.count("gave wrong values") == 1
    before = len(calls)
    sample(model)
    assert len(calls) == before


def test_a_kernel_that_fails_on_the_first_call_of_a_class_never_runs_again(wan, guarded, session):
    model, calls = guarded(lambda call, out: with_one(float("nan"))(out))
    assert torch.equal(sample(model), sample(wan))
    assert len(calls) == CLASSES and session.runs.ended()[0]["fallbacks"] == {"error": CALLS}


def test_errors_that_grow_end_before_they_show(wan, guarded, caplog):
    """From 4 % on they grow by half a percent with each call: over the budget of 5 %, far from broken."""
    model, calls = guarded(lambda call, out: out * (1.04 + 0.005 * max(0, call - CLASSES)))
    right = sample(wan)
    with caplog.at_level(logging.INFO):
        for _ in range(4):
            latent = sample(model)
    assert "fake gave errors above 0.05 and runs no more" in caplog.text
    assert "run again" not in caplog.text
    assert len(calls) < 3 * CALLS and relative_error(latent, right) < 0.001


def test_what_was_found_is_remembered_and_said_once(wan, guarded, caplog, session):
    model, calls = guarded(lambda call, out: with_one(float("nan"))(out) if call >= CLASSES else out)
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            sample(model)
            calls_so_far = len(calls)
    assert caplog.text.count("gave NaN or Inf") == 1 and "did not run" not in caplog.text
    sample(model)
    assert len(calls) == calls_so_far
    assert session.runs.ended()[-1]["fallbacks"] == {"guard": CALLS}


@pytest.mark.parametrize("order", ["lora first", "node first"])
def test_a_model_with_a_lora_is_guarded_as_one_without(wan, guarded, order, session):
    right = sample(lora(wan, 1.0, 0))
    assert relative_error(right, sample(wan)) > 0.001
    model, _ = guarded(
        lambda call, out: with_one(float("nan"))(out) if call >= 2 else out,
        on=lora(wan, 1.0, 0) if order == "lora first" else wan,
    )
    latent = sample(model if order == "lora first" else lora(model, 1.0, 0))
    assert torch.isfinite(latent).all() and relative_error(latent, right) < 0.02
    assert "run again with exact attention" in session.runs.ended()[-1]["notes"][0]


def test_a_node_that_runs_again_remembers_what_was_found_of_the_model(wan, guarded, session):
    """As ComfyUI has it run again where a LoRA before it has changed."""
    model, calls = guarded(lambda call, out: with_one(float("nan"))(out) if call >= CLASSES else out)
    sample(model)
    before = len(calls)
    sample(host_model.patch_model(wan, Settings("fake"), session))
    # The first call of a class is checked by itself before its answer is used.
    assert len(calls) == before + CLASSES
    assert session.runs.ended()[-1]["notes"][0].startswith("fake gave NaN or Inf and runs no more")


@pytest.mark.parametrize("wrong", [torch.zeros_like, lambda out: 20 * out, lambda out: out * float("nan")])
def test_a_step_is_run_again_behind_the_back_of_a_node_that_keeps_answers(wan, guarded, wrong, session):
    """ComfyUI's EasyCache answers with what it kept of the last step where its input has not changed."""
    easycache = pytest.importorskip("comfy_extras.nodes_easycache", reason="this ComfyUI has no EasyCache")

    def cached(model):
        return easycache.EasyCacheNode.execute(model, 0.9, 0.1, 0.95, False).args[0]

    steps = 10
    right = sample(cached(wan), steps=steps)
    model, _ = guarded(lambda call, out: wrong(out) if call >= 8 else out)
    assert relative_error(sample(cached(model), steps=steps), right) < 1e-4
    (run,) = session.runs.ended()
    assert "run again with exact attention" in run["notes"][0] and run["fallbacks"]["guard"] >= 4


def test_where_a_step_could_not_be_run_again_it_is_said_so_and_the_model_stays_exact(
    wan, guarded, monkeypatch, session
):
    """Another pack may keep answers without a wrapper of ComfyUI's, so that nothing can look behind it."""
    original, kept = type(wan.model)._apply_model, {}

    def keeps(self, x, t, *args, **kwargs):
        key = float(t[0])
        if key not in kept:
            kept[key] = original(self, x, t, *args, **kwargs)
        return kept[key]

    model, calls = guarded(lambda call, out: torch.zeros_like(out) if call >= 8 else out)
    monkeypatch.setattr(type(wan.model), "_apply_model", keeps)
    assert torch.isfinite(sample(model)).all()
    (note,) = session.runs.ended()[0]["notes"]
    assert "did not let the step be run again" in note
    before = len(calls)
    kept.clear()
    sample(model)
    assert len(calls) == before


def test_only_the_block_that_fails_is_kept_exact(wan, guarded, session):
    if not numbers_blocks():
        pytest.skip("this ComfyUI does not number Wan's blocks")
    right, running = sample(wan), []
    blocks = wan.model.diffusion_model.blocks
    hooks = [
        block.register_forward_pre_hook(lambda *_, number=number: running.append(number))
        for number, block in enumerate(blocks)
    ]
    model, _ = guarded(lambda call, out: with_one(float("nan"))(out) if running[-1] == 1 else out)
    assert relative_error(sample(model), right) < 0.02
    note = session.runs.ended()[-1]["notes"][0]
    assert "block 1" in note and "block 0" not in note
    session.runs.kept.clear()
    sample(model)
    assert session.runs.ended()[-1]["kernels"] == {"fake": CALLS // 2}
    assert session.runs.ended()[-1]["fallbacks"] == {"guard": CALLS // 2}
    for hook in hooks:
        hook.remove()


def test_a_kernel_that_is_right_costs_no_second_forward(wan, guarded, session):
    model, calls = guarded(lambda call, out: out)
    sample(model)
    assert len(calls) == CALLS and session.runs.ended()[0]["notes"] == []


def test_kernels_that_fail_only_together_leave_the_model_exact(wan, guarded, monkeypatch, session):
    """Finite call by call, and too much for the model all the same."""
    base_model = type(wan.model)
    original, forwards = base_model._apply_model, itertools.count()

    def overflows(self, *args, **kwargs):
        out = original(self, *args, **kwargs)
        return out * float("nan") if next(forwards) == STEPS else out

    right = sample(wan)
    monkeypatch.setattr(base_model, "_apply_model", overflows)
    model, calls = guarded(lambda call, out: out)
    forwards = itertools.count(STEPS)
    latent = sample(model)
    assert torch.isfinite(latent).all() and relative_error(latent, right) < 0.02
    assert "together" in session.runs.ended()[-1]["notes"][0]
    before = len(calls)
    sample(model)
    assert len(calls) == before


def test_a_model_that_is_black_by_itself_is_run_twice_only_once(wan, guarded, monkeypatch, session):
    forwards = []
    base_model = type(wan.model)
    original = base_model._apply_model

    def black(self, *args, **kwargs):
        forwards.append(1)
        return original(self, *args, **kwargs) * float("nan")

    monkeypatch.setattr(base_model, "_apply_model", black)
    model, _ = guarded(lambda call, out: out)
    sample(model)
    assert len(forwards) == STEPS + 1
    assert "not a kernel's doing" in session.runs.ended()[-1]["notes"][0]


@pytest.mark.parametrize(("kernel", "looks"), [("right", STEPS), ("off", 0), ("absent", 0)])
def test_every_step_in_which_a_kernel_ran_is_looked_at_and_no_other(wan, monkeypatch, session, kernel, looks):
    looked = []
    monkeypatch.setattr(guard.Guard, "look", lambda *arguments: looked.append(1) or True)
    session.kernels = Kernels({"right": fake_kernels.backend("right", kind=EXACT)})
    sample(host_model.patch_model(wan, Settings(kernel), session))
    assert len(looked) == looks


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
@pytest.mark.parametrize("first", [CLASSES, CALLS // 2, CALLS - 1])
def test_nan_of_a_kernel_that_counts_as_exact_leaves_the_model_as_little(wan, guarded, session, first, value):
    right = sample(wan)
    breaks = lambda call, out: with_one(value)(out) if call >= first else out  # noqa: E731
    model, calls = guarded(breaks, kind=EXACT)
    assert relative_error(sample(model), right) < 1e-5
    assert "run again with exact attention" in session.runs.ended()[-1]["notes"][0]
    before = len(calls)
    assert relative_error(sample(model), right) < 1e-5
    # Where it failed ComfyUI's own attention runs, whatever the kernel is declared to be.
    run = session.runs.ended()[-1]
    assert run["fallbacks"].get("guard", 0) > 0
    assert sum((run["kernels"] | run["fallbacks"]).values()) == CALLS and len(calls) - before < CALLS


def test_exact_kernels_that_fail_only_together_leave_the_model_to_comfyui(wan, guarded, monkeypatch, session):
    base_model = type(wan.model)
    original, forwards = base_model._apply_model, itertools.count()

    def overflows(self, *args, **kwargs):
        out = original(self, *args, **kwargs)
        return out * float("nan") if next(forwards) == 0 else out

    right = sample(wan)
    monkeypatch.setattr(base_model, "_apply_model", overflows)
    model, calls = guarded(lambda call, out: out, kind=EXACT)
    assert relative_error(sample(model), right) < 1e-5
    assert "together" in session.runs.ended()[-1]["notes"][0]
    before = len(calls)
    sample(host_model.patch_model(wan, Settings("fake"), session))
    assert len(calls) == before
    assert "no kernel of SageKit runs for this model" in session.runs.ended()[-1]["notes"][0]


@pytest.mark.parametrize("kind", [EXACT, QUANTISED])
@pytest.mark.parametrize("first", [0, CLASSES, CALLS // 2, CALLS - 1])
def test_a_kernel_that_writes_into_its_arguments_and_then_raises_costs_a_step_and_no_image(
    wan, guarded, session, kind, first
):
    def before(call, tensors):
        if call >= first:
            for tensor in tensors:
                tensor.mul_(-3.0)
            raise RuntimeError("a launch failed in the middle")

    right = sample(wan)
    model, calls = guarded(lambda call, out: out, kind=kind, before=before)
    assert relative_error(sample(model), right) < 1e-5
    assert len(calls) == first + 1
    notes = session.runs.ended()[-1]["notes"]
    assert any("fake failed and is not used again" in note for note in notes)
    assert any("the step was run again with exact attention" in note for note in notes)
    assert relative_error(sample(model), right) < 1e-5 and len(calls) == first + 1


def test_a_kernel_of_pytorchs_own_that_refuses_a_call_costs_no_second_forward(wan, session):
    forwards = []

    def attend(q, k, v, *, mask=None, scale=None):
        raise RuntimeError("No available kernel. Aborting execution.")

    backend = fake_kernels.backend(attend=attend, kind=EXACT, of_torch=True)
    session.kernels = Kernels({"fake": backend})
    hook = wan.model.diffusion_model.register_forward_pre_hook(lambda *_: forwards.append(1))
    try:
        right = sample(wan)
        forwards.clear()
        assert torch.equal(sample(host_model.patch_model(wan, Settings("fake"), session)), right)
    finally:
        hook.remove()
    assert len(forwards) == STEPS


def test_a_kernel_that_raises_while_it_is_tried_beside_the_right_answer_is_told_too(wan, guarded, session):
    def before(call, tensors):
        if call > CALLS // 2:
            tensors[0].zero_()
            raise RuntimeError("a launch failed in the middle")

    right = sample(wan)
    model, _ = guarded(
        lambda call, out: with_one(float("nan"))(out) if call == CALLS // 2 else out, before=before
    )
    assert relative_error(sample(model), right) < 1e-5
    assert any("fake failed and is not used again" in note for note in session.runs.ended()[-1]["notes"])


def test_the_second_forward_gets_controlnets_output_again():
    control = {"output": [torch.ones(1), torch.ones(1)], "middle": [], "other": None}
    first = host_model._copied(control)
    first["output"].pop()
    first["output"].pop()
    assert len(host_model._copied(control)["output"]) == 2
    assert host_model._copied(None) is None


def test_a_step_under_a_controlnet_is_run_again_with_all_of_its_output(guarded):
    """A UNet takes ControlNet's answers out of their lists as it uses them."""
    import comfy.cldm.cldm
    import comfy.controlnet
    import comfy.ops

    sdxl = ARCHITECTURES["sdxl"]
    known = inspect.signature(comfy.cldm.cldm.ControlNet.__init__).parameters
    config = {name: value for name, value in sdxl.config.items() if name in known}
    network = comfy.cldm.cldm.ControlNet(
        **config, hint_channels=3, dtype=torch.float32, operations=comfy.ops.disable_weight_init
    )
    fill(network, 1)
    control = comfy.controlnet.ControlNet(network, load_device=torch.device("cpu"))
    control.set_cond_hint(torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(4)), strength=10)
    under = replace(sdxl, conditioning={"control": control, "control_apply_to_uncond": True})
    steps, calls_of_a_step = 3, 2 * sum(sdxl.blocks.values())

    base = build(sdxl)
    right = sample_at(base, under, 0, 0, 16, steps)
    assert relative_error(sample_at(base, sdxl, 0, 0, 16, steps), right) > 0.02
    first = calls_of_a_step
    model, calls = guarded(lambda call, out: with_one(float("nan"))(out) if call >= first else out, base)
    latent = sample_at(model, under, 0, 0, 16, steps)
    assert len(calls) > first
    assert relative_error(latent, right) < 0.001


@pytest.mark.parametrize(
    ("tensor", "finite"),
    [
        (torch.zeros(3, 5), True),
        (torch.full((1000,), 6e4, dtype=torch.float16), True),
        (torch.tensor([1.0, float("nan")]), False),
        (torch.tensor([float("inf"), float("-inf")], dtype=torch.bfloat16), False),
    ],
)
def test_is_finite(tensor, finite):
    assert is_finite(tensor) is finite


class Clock:
    """Goes only as far as it is moved, however busy the machine is."""

    now = 0.0

    def perf_counter(self) -> float:
        return self.now

    time = monotonic = perf_counter


def forwards(
    one: guard.Guard, clock: Clock, seconds: float, calls: int, count: int, took: float
) -> list[list[int]]:
    """Which calls are sampled in each of so many forwards of a length."""
    sampled = []
    for _ in range(count):
        forward = one.begin()
        clock.now += seconds
        sampled.append([number for number in range(calls) if forward.next_is_sampled()])
        for _ in sampled[-1]:
            one.took(took)
        assert one.look(forward, torch.zeros(1))
    return sampled


@pytest.mark.parametrize("took", [0.0001, 0.0007])
@pytest.mark.parametrize(("seconds", "calls"), [(10.0, 80), (1.0, 80), (0.3, 40), (0.04, 140), (0.004, 140)])
def test_samples_take_no_more_of_a_step_than_their_share_and_come_to_every_call(
    session, seconds, calls, took
):
    clock = Clock()
    one = guard.Guard(report.Report(Settings("fake"), session.runs), 0.05, guard.Quarantine(), clock)
    first, *later = forwards(one, clock, seconds, calls, 2000, took)
    assert first == list(range(calls))
    price = max(guard.SAMPLE_SECONDS, took)
    assert one.price == pytest.approx(price, rel=0.01)
    cost = sum(map(len, later)) * price
    assert cost <= 1.02 * guard.SAMPLING_SHARE * seconds * len(later)
    assert cost >= 0.9 * min(calls * price, guard.SAMPLING_SHARE * seconds) * (len(later) - 180)
    seen = {number for numbers in later for number in numbers}
    if len(later) * seconds * guard.SAMPLING_SHARE > 3 * calls * price:
        assert seen == set(range(calls))
