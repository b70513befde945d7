"""A patched MODEL in the host's own sampler, in this process, with a kernel that is plain maths."""

import gc
import logging
import weakref

import pytest
import torch
from sagekit.check.reference import relative_error
from sagekit.core.attention.settings import Settings
from support.sampling import STEPS, numbers_blocks, sample


def test_a_kernel_that_is_right_gives_the_models_own_latent(wan, patch_model, session):
    assert relative_error(sample(patch_model(wan, Settings("right"))), sample(wan)) < 0.001
    (run,) = session.runs.ended()
    assert run["kernels"] == {"right": 4 * STEPS} and run["model"] == "WAN21" and run["fallbacks"] == {}


def test_a_kernel_that_is_rough_shows(wan, patch_model):
    assert relative_error(sample(patch_model(wan, Settings("rough"))), sample(wan)) > 0.005


def test_a_kernel_that_is_wrong_on_the_models_own_calls_never_runs_though_it_is_named(
    wan, patch_model, caplog, session
):
    with caplog.at_level(logging.INFO):
        latent = sample(patch_model(wan, Settings("wrong")))
    assert torch.equal(latent, sample(wan))
    assert session.runs.ended()[0]["fallbacks"] == {"error": 4 * STEPS}
    assert "wrong did not run (error: needs an error of 0.05 at most, got 1)" in caplog.text


def test_the_model_given_and_its_options_stay_as_they_were(wan, patch_model):
    def options(model):
        return repr(sorted(model.model_options["transformer_options"].items())), repr(model.wrappers)

    before, right = options(wan), sample(wan)
    patched = patch_model(wan, Settings("rough"))
    sample(patched)
    assert options(wan) == before
    assert torch.equal(sample(wan), right)
    assert not torch.equal(sample(patched), right)
    assert torch.equal(sample(wan), right)


def test_the_last_node_on_the_wire_wins(wan, patch_model, session):
    right = sample(wan)
    twice = patch_model(patch_model(wan, Settings("rough")), Settings("right"))
    assert relative_error(sample(twice), right) < 0.001
    assert [run["kernel"] for run in session.runs.ended()] == ["right"]
    off = patch_model(patch_model(wan, Settings("rough")), Settings("off"))
    assert torch.equal(sample(off), right)


def test_another_packs_override_is_kept_for_what_we_do_not_take(wan, patch_model):
    calls = []

    def earlier(func, *args, **kwargs):
        calls.append(1)
        return func(*args, **kwargs)

    theirs = wan.clone()
    theirs.model_options["transformer_options"]["optimized_attention_override"] = earlier
    sample(patch_model(theirs, Settings("off")))
    assert len(calls) == 4 * STEPS
    sample(patch_model(theirs, Settings("right")))
    assert len(calls) == 4 * STEPS


@pytest.mark.parametrize(
    ("limits", "quantised"),
    [
        ({}, 4 * STEPS),
        ({"start_percent": 0.5}, 4 * 2),
        ({"end_percent": 0.5}, 4 * 2),
        ({"exact_first_blocks": 1}, 2 * STEPS),
        ({"exact_last_blocks": 1}, 2 * STEPS),
        ({"exact_first_blocks": 1, "exact_last_blocks": 1}, 0),
    ],
)
def test_steps_and_blocks_outside_the_range_stay_exact(wan, patch_model, limits, quantised, session):
    if not numbers_blocks() and ("exact_first_blocks" in limits or "exact_last_blocks" in limits):
        pytest.skip("this ComfyUI does not number Wan's blocks")
    steps = [step.item() for step in _sigmas(wan)]
    sample(patch_model(wan, Settings("rough", **limits)))
    (run,) = session.runs.ended()
    assert run["kernels"].get("rough", 0) == quantised, steps
    assert sum(run["fallbacks"].values()) == 4 * STEPS - quantised
    if not quantised:
        assert torch.equal(sample(patch_model(wan, Settings("rough", **limits))), sample(wan))


def _sigmas(model):
    import comfy.samplers

    return comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), "simple", STEPS)


def test_two_models_keep_their_own_settings_and_counts(wan, patch_model, session):
    one, other = patch_model(wan, Settings("rough")), patch_model(wan, Settings("right"))
    alone = sample(one), sample(other)
    session.runs.kept.clear()
    together = sample(one), sample(other)
    assert all(torch.equal(*pair) for pair in zip(alone, together, strict=True))
    assert [run["kernels"] for run in session.runs.ended()] == [{"rough": 4 * STEPS}, {"right": 4 * STEPS}]


def test_a_clone_made_later_is_patched_as_well(wan, patch_model, session):
    sample(patch_model(wan, Settings("right")).clone())
    assert session.runs.ended()[0]["kernels"] == {"right": 4 * STEPS}


def test_a_run_that_ends_in_an_error_or_a_cancel_is_closed_and_told(wan, patch_model, caplog, session):
    with caplog.at_level(logging.INFO), pytest.raises(KeyboardInterrupt):
        sample(patch_model(wan, Settings("stopping")))
    assert len(session.runs.ended()) == 1 and caplog.text.count("SageKit:") == 1


def test_a_cancel_is_told_from_an_error_and_how_far_the_run_came(wan, patch_model, session):
    from comfy import model_management

    def stopped_by(error):
        def run(apply_model, given):
            apply_model(given["input"], given["timestep"], **given["c"])
            raise error

        patched = patch_model(wan, Settings("right"))
        patched.set_model_unet_function_wrapper(run)
        with pytest.raises(type(error)):
            sample(patched)
        return session.runs.ended()[-1]

    cancelled = stopped_by(model_management.InterruptProcessingException())
    assert (cancelled["state"], cancelled["line"]) == ("cancelled", "cancelled after 4 calls")
    failed = stopped_by(ValueError("of another node"))
    assert (failed["state"], failed["line"]) == ("failed", "run failed after 4 calls")


def test_nothing_is_kept_of_a_patched_model_that_is_dropped(wan, patch_model):
    patched = patch_model(wan, Settings("right"))
    override = weakref.ref(patched.model_options["transformer_options"]["optimized_attention_override"])
    sample(patched)
    del patched
    gc.collect()
    assert override() is None


def test_a_run_costs_at_most_three_log_lines_whatever_happens(wan, patch_model, caplog):
    with caplog.at_level(logging.INFO):
        sample(patch_model(wan, Settings("sage9-from-the-future", exact_first_blocks=1)))
    lines = [record.getMessage() for record in caplog.records if "SageKit" in record.getMessage()]
    assert len(lines) <= 3 and "sage9-from-the-future did not run" in "".join(lines)


def test_a_node_that_replaces_our_override_leaves_patch_not_reached(wan, patch_model, session):
    patched = patch_model(wan, Settings("right")).clone()
    replaced = lambda func, *args, **kwargs: func(*args, **kwargs)  # noqa: E731
    patched.model_options["transformer_options"]["optimized_attention_override"] = replaced
    sample(patched)
    assert "patch not reached" in session.runs.ended()[0]["summary"]


def test_every_step_is_told_on_the_node_and_to_who_heard_of_it_before(wan, patch_model, session, monkeypatch):
    from comfy.samplers import CFGGuider
    from sagekit.core.attention import report

    monkeypatch.setattr(report, "STEP_SECONDS", 0.0)
    heard, theirs = [], []
    session.messages.listeners.append(lambda new: heard.append(str(new.line).partition(" ·")[0]))
    sampled = CFGGuider.sample

    def with_callback(self, *args, **kwargs):
        kwargs["callback"] = lambda step, denoised, x, total: theirs.append((step, total))
        return sampled(
            self, *args[:5], **{name: kwargs[name] for name in ("callback", "seed") if name in kwargs}
        )

    monkeypatch.setattr(CFGGuider, "sample", with_callback)
    sample(patch_model(wan, Settings("right", node_id="7")))
    assert heard[-STEPS - 1 : -1] == [f"step {one}/{STEPS}" for one in range(1, STEPS + 1)]
    assert theirs == [(one, STEPS) for one in range(STEPS)]
