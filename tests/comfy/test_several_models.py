"""Several models in one guider, several branches of one base, and ComfyUI's clones on several devices."""

import gc
import threading
import weakref
from collections import Counter

import pytest
import torch
from sagekit.check.reference import relative_error
from sagekit.core.attention.settings import Settings
from support import tiny_models
from support.compiling import dual_guider, dual_guider_sample, guided
from support.sampling import STEPS, sample

CALLS = 4 * STEPS  # two blocks with a self- and a cross-attention each
RIGHT, ROUGH, OFF = Settings("right"), Settings("rough"), Settings("off")


def each_with_its_own_options(first, second):
    """The guider's latent as it would be if it gave its second model that model's own options."""
    from comfy.samplers import calc_cond_batch, cfg_function

    class Guider(dual_guider()):
        def predict_noise(self, x, timestep, model_options=None, seed=None):
            positive = self.conds["positive"]
            own = {**model_options, "transformer_options": {**model_options["transformer_options"]}}
            for name in ("optimized_attention_override", "sagekit_attention", "wrappers"):
                own["transformer_options"].pop(name, None)
            own["transformer_options"] |= second.model_options["transformer_options"]
            cond = calc_cond_batch(self.inner_model, [positive], x, timestep, model_options)[0]
            uncond = calc_cond_batch(self.uncond_inner, [self._uncond_conds], x, timestep, own)[0]
            return cfg_function(
                *(self.inner_model, cond, uncond, self.cfg, x, timestep),
                model_options=model_options,
                cond=positive,
                uncond=self._uncond_conds,
            )

    return guided(Guider(first, second), first)


@pytest.mark.parametrize("kernels", [(ROUGH, RIGHT), (RIGHT, ROUGH), (ROUGH, OFF), (ROUGH, None)])
def test_each_model_of_one_guider_runs_by_its_own_node(wan, other_wan, patch_model, kernels, session):
    first, second = (
        patch_model(model, settings) if settings else model
        for model, settings in zip((wan, other_wan), kernels, strict=True)
    )
    plain = dual_guider_sample(wan, other_wan)
    latent = dual_guider_sample(first, second)
    counts = {
        run["kernel"]: sum((run["kernels"] | run["fallbacks"]).values()) for run in session.runs.ended()
    }
    assert counts == {settings.kernel: CALLS for settings in kernels if settings}
    assert torch.equal(latent, each_with_its_own_options(first, second))
    assert relative_error(latent, plain) > 0.001


def test_a_node_on_the_second_model_alone_says_that_no_call_reached_it(wan, other_wan, patch_model, session):
    """ComfyUI's guider hands the second model the options of the first, where no node of ours stands."""
    latent = dual_guider_sample(wan, patch_model(other_wan, ROUGH))
    assert torch.equal(latent, dual_guider_sample(wan, other_wan))
    (run,) = session.runs.ended()
    assert [one["code"] for one in run["warnings"]] == ["not-reached"]


def test_branches_of_one_base_and_their_order_do_not_change_each_other(wan, patch_model, session):
    rough, right = patch_model(wan, ROUGH), patch_model(wan, RIGHT)
    alone = sample(rough), sample(right), sample(wan)
    assert relative_error(alone[0], alone[2]) > 0.001
    for _ in range(2):
        assert torch.equal(sample(right), alone[1])
        assert torch.equal(sample(wan), alone[2])
        assert torch.equal(sample(rough), alone[0])
    kinds = [(run["kernel"], sum(run["kernels"].values())) for run in session.runs.ended()]
    assert kinds == [("rough", CALLS), ("right", CALLS), *[("right", CALLS), ("rough", CALLS)] * 2]


def test_two_branches_of_one_base_in_one_guider_run_by_the_node_of_the_first(wan, patch_model):
    """The model itself does not know its branch: both run with the first one's options, as in ComfyUI."""
    latent = dual_guider_sample(patch_model(wan, ROUGH), patch_model(wan, RIGHT))
    both = dual_guider_sample(patch_model(wan, ROUGH), patch_model(wan, ROUGH))
    assert torch.equal(latent, both)


def test_nothing_is_kept_of_two_models_that_are_dropped(wan, other_wan, patch_model):
    models = [patch_model(wan, ROUGH), patch_model(other_wan, RIGHT)]
    dual_guider_sample(*models)
    patches = [
        weakref.ref(model.model_options["transformer_options"]["sagekit_attention"]) for model in models
    ]
    del models
    gc.collect()
    assert [patch() for patch in patches] == [None, None]


def test_the_memory_of_a_model_returns_when_it_is_dropped(wan, patch_model, tmp_path, session):
    """Its weights are held by nobody of ours: no patch, no graph, no quarantine, no report."""
    import comfy.model_management
    import comfy.sd
    from sagekit.core import compile as compiling

    file, _ = tiny_models.write(tmp_path)
    model = comfy.sd.load_diffusion_model(str(file))
    rough = compiling.patch_model(patch_model(model, ROUGH), compiling.Settings(backend="eager"), session)
    for one in (rough, patch_model(model, Settings("turning"))):
        sample(one)
    weights = [weakref.ref(weight) for weight in model.model.parameters()]
    held = weakref.ref(model.model)
    del model, rough, one
    comfy.model_management.unload_all_models()
    comfy.model_management.cleanup_models_gc()
    gc.collect()
    assert held() is None and not any(weight() is not None for weight in weights)


@pytest.fixture
def two_devices(wan, monkeypatch):
    """The processor under two names, which ComfyUI takes for two devices and gives a thread each."""
    from comfy import model_management

    multigpu = pytest.importorskip("comfy.multigpu", reason="this ComfyUI has no multi-GPU clones")
    devices = [wan.load_device, torch.device("cpu", 0)]
    monkeypatch.setattr(model_management, "get_all_torch_devices", lambda exclude_current=False: devices)
    monkeypatch.setattr(model_management, "set_torch_device", lambda device: None)
    return lambda model: multigpu.create_multigpu_deepclones(model, 2)


def cfg_sample(model):
    import comfy.samplers

    return guided(comfy.samplers.CFGGuider(model), model)


@pytest.mark.parametrize("settings", [RIGHT, ROUGH, OFF], ids=lambda settings: settings.kernel)
def test_clones_on_two_devices_run_by_the_node_of_their_base(
    wan, patch_model, two_devices, settings, session
):
    patched = patch_model(wan, settings)
    alone, plain = cfg_sample(patched), cfg_sample(wan)
    session.runs.kept.clear()
    latent = cfg_sample(two_devices(patched))
    assert relative_error(latent, alone) < 0.001
    assert (relative_error(latent, plain) > 0.001) == (settings is ROUGH)
    (run,) = session.runs.ended()
    # The prompt on one device, the negative prompt on the other.
    assert sum((run["kernels"] | run["fallbacks"]).values()) == 2 * CALLS


def test_each_devices_thread_is_guarded_by_itself(wan, patch_model, two_devices, monkeypatch, session):
    """A kernel that gives NaN on one device only: the other's half stays, and the latent is finite."""
    from sagekit.core.attention import override

    run, calls = override.dispatch.run, Counter()

    def spoiled(*given):
        out, thread = run(*given), threading.get_ident()
        calls[thread] += 1
        late_on_the_second = calls[thread] > 3 and thread != next(iter(calls))
        return torch.full_like(out, float("nan")) if late_on_the_second else out

    right = cfg_sample(wan)
    patched = two_devices(patch_model(wan, ROUGH))
    monkeypatch.setattr(override.dispatch, "run", spoiled)
    latent = cfg_sample(patched)
    assert len(calls) == 2
    assert torch.isfinite(latent).all() and relative_error(latent, right) < 0.05
    (told,) = session.runs.ended()
    assert [one["code"] for one in told["warnings"]] == ["guard"]
