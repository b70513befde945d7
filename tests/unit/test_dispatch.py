"""Loading, running and dropping kernels."""

import threading

import pytest
import torch
from sagekit.core.attention import dispatch
from sagekit.core.attention.plan import OnHost, Routed
from sagekit.core.attention.settings import Settings
from sagekit.kernels.backend import Kernel
from sagekit.kernels.call import Call
from sagekit.kernels.kinds import QUANTISED
from support import fake_kernels

CALL = Call(1, 2, 2, 16, 16, 8, "float32", "cpu")


def tensors():
    return [torch.randn(1, 2, 16, 8) for _ in range(3)]


def raising(error):
    def attend(q, k, v, *, mask=None, scale=None):
        raise error

    return attend


def kernels_with(attend=None, **facts) -> dispatch.Kernels:
    backend = fake_kernels.backend(attend=attend, **facts)
    return dispatch.Kernels({backend.name: backend})


def loading_with(load) -> dispatch.Kernels:
    facts = {**vars(fake_kernels.backend()), "load": load}
    return dispatch.Kernels({"fake": fake_kernels.CpuBackend(**facts)})


def plan_for(kernels, kernel="fake", **settings) -> OnHost | Routed:
    """The plan with its first candidate chosen, as measuring would leave it."""
    plan = dispatch.plan(CALL, Settings(kernel, **settings), kernels)
    if isinstance(plan, OnHost):
        return plan
    ((backend, loaded), *_) = plan.candidates
    return Routed(name=backend.name, kernel=loaded, call=CALL)


def test_the_kernel_named_is_the_kernel_that_runs():
    kernels = kernels_with()
    plan = plan_for(kernels)
    q, k, v = tensors()
    out = dispatch.run(plan, kernels, [q, k, v], None, None)
    torch.testing.assert_close(out, torch.nn.functional.scaled_dot_product_attention(q, k, v))
    assert plan.name == "fake" and plan.proven


def test_an_import_that_raises_is_a_reason_with_the_error_in_its_own_words():
    def load():
        raise OSError("DLL load failed while importing _fused: The specified procedure could not be found.")

    plan = plan_for(loading_with(load))
    assert isinstance(plan, OnHost) and plan.why == "not-importable"
    ((_, (reason,)),) = plan.passed_over
    assert "OSError: DLL load failed while importing _fused" in str(reason)


def test_it_is_loaded_once_and_only_when_it_is_chosen():
    loads = []
    kernel = Kernel(fake_kernels.float32_attention)
    kernels = loading_with(lambda: loads.append(1) or kernel)
    plan_for(kernels, kernel="off")
    assert loads == []
    plan_for(kernels)
    plan_for(kernels)
    assert loads == [1]


@pytest.mark.parametrize(
    "error",
    [
        ValueError("Unsupported head_dim"),
        AssertionError("Input tensors must be on cuda"),
        RuntimeError("CUDA error: no kernel image is available for execution on the device"),
        RuntimeError("CUDA error: invalid configuration argument"),
    ],
)
def test_a_kernel_that_raises_is_dropped_for_good(error):
    kernels = kernels_with(raising(error))
    plan = plan_for(kernels)
    assert dispatch.run(plan, kernels, tensors(), None, None) is None
    assert plan_for(kernels).why == "raised"
    assert str(error) in kernels.why_dropped("fake")


@pytest.mark.parametrize(
    "error",
    [
        torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("CUDA out of memory"),
        RuntimeError("CUDA error: an illegal memory access was encountered"),
        RuntimeError("CUDA error: unspecified launch failure"),
        KeyboardInterrupt(),
    ],
)
def test_out_of_memory_and_lost_gpus_go_up_untouched(error):
    kernels = kernels_with(raising(error))
    with pytest.raises(type(error)) as caught:
        dispatch.run(plan_for(kernels), kernels, tensors(), None, None)
    assert caught.value is error
    assert isinstance(plan_for(kernels), Routed)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda out: out[:, :, :-1],
        lambda out: out.transpose(1, 2),
        lambda out: out.double(),
        lambda out: out.to("meta"),
        lambda out: (out, None),
        lambda out: None,
    ],
)
def test_an_answer_of_another_shape_dtype_or_device_gives_way_and_drops_the_kernel(spoil):
    kernels = kernels_with(lambda q, k, v, *, mask=None, scale=None: spoil(q.clone()))
    plan = plan_for(kernels)
    assert dispatch.run(plan, kernels, tensors(), None, None) is None
    assert not plan.proven and plan_for(kernels).why == "raised"
    assert "is due" in str(kernels.why_dropped("fake"))


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt()])
def test_a_kernel_cannot_end_the_thread_that_runs_prompts(error):
    kernels, answers = kernels_with(raising(error)), ["not reached"]

    def prompt():
        answers[0] = dispatch.run(plan_for(kernels), kernels, tensors(), None, None)

    thread = threading.Thread(target=prompt)
    thread.start()
    thread.join()
    assert answers == [None] and plan_for(kernels).why == "raised"


class WordlessError(RuntimeError):
    def __str__(self):
        raise self


def test_an_error_that_cannot_be_put_into_words_is_one_like_any_other():
    kernels = kernels_with(raising(WordlessError()))
    assert dispatch.run(plan_for(kernels), kernels, tensors(), None, None) is None
    assert plan_for(kernels).why == "raised"
    assert "WordlessError: (its words cannot be had" in str(kernels.why_dropped("fake"))

    def load():
        raise WordlessError

    assert plan_for(loading_with(load)).why == "not-importable"


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt()])
def test_nor_can_its_package_while_it_is_imported(error):
    def load():
        raise error

    kernels, plans = loading_with(load), []
    thread = threading.Thread(target=lambda: plans.append(plan_for(kernels)))
    thread.start()
    thread.join()
    assert [plan.why for plan in plans] == ["not-importable"]


def test_ctrl_c_while_a_package_is_imported_is_the_users():
    def load():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        plan_for(loading_with(load))


def test_what_a_package_changes_of_torch_while_it_is_imported_is_put_back_and_named(caplog):
    def load():
        torch.set_default_dtype(torch.float64)
        torch.rand(3)
        torch.set_grad_enabled(not grad)
        return Kernel(fake_kernels.float32_attention)

    grad, numbers = torch.is_grad_enabled(), torch.get_rng_state()
    with caplog.at_level("INFO"):
        plan = plan_for(loading_with(load))
    assert isinstance(plan, Routed) and torch.get_default_dtype() == torch.float32
    assert torch.is_grad_enabled() == grad and torch.equal(torch.get_rng_state(), numbers)
    assert "the package of fake changed the default dtype, grad mode and the random numbers" in caplog.text


def test_the_hosts_cancel_goes_up_and_is_no_fault_of_the_kernel():
    cancel = type("InterruptProcessingException", (Exception,), {})
    kernels = kernels_with(raising(cancel()))
    with pytest.raises(cancel):
        dispatch.run(plan_for(kernels), kernels, tensors(), None, None)
    assert isinstance(plan_for(kernels), Routed)


def test_tensors_are_given_away_only_to_a_kernel_that_has_run_before():
    given_away = []

    def attend_owned(tensors, *, mask=None, scale=None):
        given_away.append(len(tensors))
        q, k, v = tensors
        tensors.clear()
        return fake_kernels.float32_attention(q, k, v, mask=mask, scale=scale)

    kernels = kernels_with(attend_owned=attend_owned)
    plan = plan_for(kernels)
    first, second = tensors(), tensors()
    dispatch.run(plan, kernels, first, None, None, owned=True)
    assert given_away == [] and len(first) == 3
    dispatch.run(plan, kernels, second, None, None, owned=True)
    assert given_away == [3] and second == []


def test_off_runs_nothing_of_ours_and_stays_exact():
    plan = plan_for(kernels_with(), kernel="off")
    assert plan.exact and plan.why == "off"


def test_exact_quality_refuses_a_quantised_kernel_even_by_name():
    quantised = kernels_with(kind=QUANTISED, tolerance=0.03)
    assert plan_for(quantised, quality="exact").why == "quality"
    assert plan_for(quantised, quality="balanced").name == "fake"
    assert plan_for(quantised, quality="from-a-later-version").name == "fake"


def test_a_name_from_a_later_version_runs_on_the_host_and_says_why():
    plan = plan_for(kernels_with(), kernel="sage9-int1")
    assert isinstance(plan, OnHost) and plan.why == "unknown-kernel"
    ((name, (reason,)),) = plan.passed_over
    assert name == "sage9-int1" and "sage9-int1" in str(reason)


def test_what_a_kernel_says_reaches_the_log_as_one_line_without_names(monkeypatch):
    from sagekit.machine import redaction

    monkeypatch.setattr(
        redaction, "of_this_machine", lambda: redaction.Hidden(("jane",), ("hunter2-secret",))
    )
    kernels = kernels_with(
        raising(RuntimeError("in /home/jane/x/kernel.py\n\x1b[31mhunter2-secret\x00" + "y" * 5000))
    )
    assert dispatch.run(plan_for(kernels), kernels, tensors(), None, None) is None
    said = str(kernels.why_dropped("fake"))
    assert "kernel.py" in said and "jane" not in said and "hunter2" not in said
    assert said.isprintable() and len(said) < 500
