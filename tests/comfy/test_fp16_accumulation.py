"""torch's FP16 accumulation flag, as it is inside and around the forwards of models in the host's sampler."""

import contextlib
import json
import logging
import threading

import pytest
import torch
from support import tiny_models
from support.sampling import STEPS, sample

MATMUL = torch.backends.cuda.matmul


def flag() -> bool:
    return MATMUL.allow_fp16_accumulation


class Stopped(KeyboardInterrupt):
    """A cancel: the host's own exception for it differs between versions."""


@pytest.fixture(autouse=True)
def restored():
    before = flag()
    yield
    MATMUL.allow_fp16_accumulation = before


@pytest.fixture
def fp16(attention, monkeypatch):
    from sagekit.core import fp16_accumulation

    return fp16_accumulation


@pytest.fixture
def patch_fp16(fp16, session):
    """patch_fp16(model, enabled, node_id=None)"""
    return lambda model, enabled, node_id=None: fp16.patch_model(model, enabled, session, node_id)


@pytest.fixture
def said(session, monkeypatch) -> list:
    texts = []

    def say(node_id, line, lines=(), *, warnings=()):
        text = "\n".join(lines)
        texts.append((node_id, text, [one.code for one in warnings]))

    monkeypatch.setattr(session.messages, "say", say)
    return texts


@pytest.fixture
def watched():
    """watched(model, during=...): the model, with the flag recorded inside each of its forwards."""
    seen = []

    def watch(model, during=None):
        def forward(*args, **kwargs):
            seen.append(flag())
            if during is not None:
                during()
            seen.append(flag())
            return type(network).forward(network, *args, **kwargs)

        network, clone = model.get_model_object("diffusion_model"), model.clone()
        clone.add_object_patch("diffusion_model.forward", forward)
        return clone

    watch.seen = seen
    return watch


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("before", [True, False])
def test_the_flag_is_as_asked_in_every_forward_and_as_before_after_it(
    wan, patch_fp16, watched, enabled, before
):
    MATMUL.allow_fp16_accumulation = before
    sample(patch_fp16(watched(wan), enabled))
    assert watched.seen == [enabled] * 2 * STEPS
    assert flag() is before


def test_the_model_given_never_sees_it(wan, patch_fp16, watched):
    model = watched(wan)
    sample(patch_fp16(model, True))
    watched.seen.clear()
    sample(model)
    assert watched.seen == [False] * 2 * STEPS


def test_previews_between_the_steps_and_what_follows_the_sampling_do_not_see_it(wan, patch_fp16, watched):
    import comfy.sample

    seen = []
    model, latent = patch_fp16(watched(wan), True), torch.zeros(1, 16, 1, 8, 8)
    text = [[torch.randn(1, 16, 4096), {}]]
    comfy.sample.sample(
        *(model, comfy.sample.prepare_noise(latent, 1), STEPS, 1.0, "euler", "simple", text, text, latent),
        callback=lambda *_: seen.append(flag()),
        disable_pbar=True,
        seed=1,
    )
    assert seen == [False] * STEPS and all(watched.seen)


def test_a_vae_and_a_text_encoder_that_run_inside_a_sampling_do_not_see_it(wan, patch_fp16, watched):
    import comfy.patcher_extension

    seen = []

    class Stub(torch.nn.Module):
        def forward(self, x):
            seen.append(flag())
            return x

    def decode_and_encode(executor, *args, **kwargs):
        for stub in (vae, text_encoder):
            stub(torch.zeros(1))
        out = executor(*args, **kwargs)
        for stub in (vae, text_encoder):
            stub(torch.zeros(1))
        return out

    vae, text_encoder = Stub(), Stub()
    model = patch_fp16(watched(wan), True)
    kind = comfy.patcher_extension.WrappersMP.CALC_COND_BATCH
    model.add_wrapper_with_key(kind, "test", decode_and_encode)
    sample(model)
    assert seen == [False] * 4 * STEPS and all(watched.seen)


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("ending", [RuntimeError, Stopped, torch.OutOfMemoryError])
def test_it_is_as_before_after_an_error_and_a_cancel(wan, patch_fp16, watched, ending, before):
    def end():
        raise ending("in the forward")

    MATMUL.allow_fp16_accumulation = before
    with pytest.raises(ending):
        sample(patch_fp16(watched(wan, during=end), not before))
    assert watched.seen == [not before]
    assert flag() is before


@pytest.fixture(scope="module")
def other_wan(attention, tmp_path_factory):
    """A second model of its own, not a clone."""
    import comfy.sd

    file, _ = tiny_models.write(tmp_path_factory.mktemp("models"))
    return comfy.sd.load_diffusion_model(str(file))


@pytest.mark.parametrize("ending", [None, Stopped])
def test_a_model_sampled_inside_the_forward_of_another_has_its_own_and_gives_it_back(
    wan, other_wan, patch_fp16, watched, ending
):
    from comfy.patcher_extension import WrappersMP

    def end():
        if ending is not None:
            raise ending

    inner, outer = patch_fp16(watched(other_wan, during=end), False), patch_fp16(wan, True)
    around = []

    def run_inner(executor, *args, **kwargs):
        around.append(flag())
        with contextlib.suppress(Stopped):
            sample(inner, steps=1)
        around.append(flag())
        return executor(*args, **kwargs)

    outer.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, "test", run_inner)
    sample(outer)
    assert around == [True] * 2 * STEPS
    assert watched.seen and not any(watched.seen)
    assert flag() is False


@pytest.mark.parametrize(
    ("first", "second"), [(True, None), (True, False), (False, True), (None, None)], ids=str
)
def test_two_models_in_one_guider_have_each_their_own(wan, other_wan, patch_fp16, watched, first, second):
    from comfy_extras import nodes_custom_sampler as nodes

    if not hasattr(nodes, "Guider_DualModel"):
        pytest.skip("this ComfyUI has no guider with two models")

    def patched(model, enabled):
        watching = watched(model)
        return watching if enabled is None else patch_fp16(watching, enabled)

    guider = nodes.Guider_DualModel(patched(wan, first), patched(other_wan, second))
    text = [[torch.randn(1, 16, tiny_models.WAN_TEXT_WIDTH), {}]]
    guider.set_conds(text, text)
    guider.set_cfg(2.0)
    latent = torch.zeros(1, 16, 1, 8, 8)
    import comfy.samplers

    sigmas = comfy.samplers.calculate_sigmas(wan.get_model_object("model_sampling"), "simple", STEPS)
    sampler = comfy.samplers.sampler_object("euler")
    guider.sample(torch.randn_like(latent), latent, sampler, sigmas, disable_pbar=True, seed=1)
    pair = [bool(first)] * 2 + [bool(second)] * 2
    assert watched.seen == pair * STEPS
    assert flag() is False


@pytest.mark.parametrize("before", [True, False])
def test_forwards_on_several_gpus_may_begin_and_end_in_any_order(session, before):
    """ComfyUI has a thread per GPU; those of one run want the same."""
    MATMUL.allow_fp16_accumulation = before
    rounds, seen = 200, []
    barrier = threading.Barrier(4)

    def run():
        barrier.wait()
        for _ in range(rounds):
            with session.fp16_accumulation.held(not before):
                seen.append(flag())

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [not before] * 4 * rounds
    assert flag() is before


def test_the_first_to_begin_may_be_the_first_to_end(session):
    one, other = session.fp16_accumulation.held(True), session.fp16_accumulation.held(True)
    one.__enter__()
    other.__enter__()
    one.__exit__(None, None, None)
    assert flag() is True
    other.__exit__(None, None, None)
    assert flag() is False


def test_of_two_nodes_on_one_wire_the_last_counts(wan, patch_fp16, watched):
    sample(patch_fp16(patch_fp16(watched(wan), True), False))
    assert watched.seen == [False] * 2 * STEPS


def test_the_latent_is_the_models_own(wan, patch_fp16):
    assert torch.equal(sample(patch_fp16(wan, True)), sample(wan))


def test_a_model_that_it_cannot_help_is_told_why_once(wan, patch_fp16, said, caplog):
    patched = patch_fp16(wan, True, "7")
    with caplog.at_level(logging.WARNING):
        sample(patched)
        sample(patched)
    assert len(said) == 2 and said[0] == said[1]
    node_id, text, codes = said[0]
    assert codes == ["no-effect"] * 2 and node_id == "7"
    assert "needs an NVIDIA GPU, and the model runs on cpu" in text
    assert "computes in float32, and only float16" in text or "computes in bfloat16" in text
    assert caplog.text.count("SageKit") == 1


def test_off_says_that_it_is_off(wan, patch_fp16, said):
    sample(patch_fp16(wan, False, "7"))
    assert said == [("7", "FP16 accumulation is off while this model runs", [])]


@pytest.mark.parametrize("error", [AttributeError, AssertionError])
def test_an_old_torch_is_a_warning_with_its_version_and_the_model_runs(
    wan, fp16, patch_fp16, said, caplog, monkeypatch, error
):
    def missing():
        raise error("Unknown attribute allow_fp16_accumulation")

    right = sample(wan)
    monkeypatch.setattr(fp16, "_read", missing)
    patched = patch_fp16(wan, True, "7")
    assert torch.equal(sample(patched), right)
    assert f"needs torch 2.7, got {torch.__version__}" in caplog.text
    assert [node_id for node_id, *_ in said] == ["7"]


class _Gpu:
    """A MODEL as far as the remarks look at it."""

    load_device = torch.device("cuda", 0)

    def __init__(self, dtype, layer=torch.nn.Linear, name="Flux"):
        self.model = type(name, (torch.nn.Module,), {"get_dtype": lambda self: dtype})()
        self.model.layer = layer(1, 1)

    def get_model_object(self, name):
        return None


@pytest.fixture
def gpu(fp16, monkeypatch):
    def make(capability=(8, 9), cuda="12.8"):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
        monkeypatch.setattr(torch.version, "cuda", cuda)

    make()
    return make


def test_nothing_is_said_where_it_helps(fp16, gpu):
    assert fp16.remarks(_Gpu(torch.float16), {}) == []


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float8_e4m3fn, torch.float32])
def test_another_compute_dtype_is_named(fp16, gpu, dtype):
    (remark,) = fp16.remarks(_Gpu(dtype), {})
    assert "changes nothing here" in remark and str(dtype).removeprefix("torch.") in remark


@pytest.mark.parametrize(
    ("facts", "named"), [({"capability": (6, 1)}, "got 6.1"), ({"cuda": None}, "AMD")], ids=str
)
def test_a_gpu_without_it_is_named(fp16, gpu, facts, named):
    gpu(**facts)
    (remark,) = fp16.remarks(_Gpu(torch.float16), {})
    assert "changes nothing here" in remark and named in remark


@pytest.mark.parametrize(
    ("names", "named"),
    [
        ({"__module__": "cublas_ops"}, "cublas_ops is active"),
        ({"__qualname__": "fp8_ops.Linear"}, "multiplies in float8"),
    ],
    ids=str,
)
def test_layers_that_multiply_in_their_own_way_are_named(fp16, gpu, names, named):
    (remark,) = fp16.remarks(_Gpu(torch.float16, layer=type("Linear", (torch.nn.Linear,), names)), {})
    assert named in remark


@pytest.fixture
def quantised(attention):
    """quantised(format, lacking=()) -> a linear layer of ComfyUI's for quantised weights, loaded by it."""
    import comfy.ops

    if not hasattr(comfy.ops, "mixed_precision_ops"):
        pytest.skip("this ComfyUI has no layers for quantised weights")

    def make(lacking=(), **config):
        operations = comfy.ops.mixed_precision_ops({}, torch.float16, disabled=set(lacking))
        layer = operations.Linear(256, 256, bias=False)
        config = {"format": "float8_e4m3fn", **config}
        weight = torch.zeros(
            256, 256, dtype=torch.int8 if "int8" in config["format"] else torch.float8_e4m3fn
        )
        layer.load_state_dict(
            {
                "weight": weight,
                "weight_scale": torch.ones(256, 1) if "int8" in config["format"] else torch.ones(()),
                "comfy_quant": torch.tensor(list(json.dumps(config).encode()), dtype=torch.uint8),
            },
            strict=False,
        )
        return layer

    return make


@pytest.mark.parametrize("format", ["float8_e4m3fn", "int8_tensorwise"])
def test_a_model_whose_weights_are_multiplied_in_a_format_of_their_own_is_named(fp16, gpu, quantised, format):
    model = _Gpu(torch.float16)  # Its own layer, of one weight, is of no account.
    model.model.blocks = torch.nn.ModuleList(quantised(format=format) for _ in range(3))
    (remark,) = fp16.remarks(model, {})
    assert remark.startswith("FP16 accumulation changes nothing here: 3 of the model's 4 linear layers")
    assert remark.endswith(f"multiply in {format}")


@pytest.mark.parametrize("reason", ["a GPU without the format", "the file", "forced", "half of the weights"])
def test_quantised_weights_that_are_multiplied_in_float16_are_not(fp16, gpu, quantised, reason):
    facts = {
        "a GPU without the format": {"lacking": ["float8_e4m3fn"]},
        "the file": {"full_precision_matrix_mult": True},
    }
    layer = quantised(**facts.get(reason, {}))
    model = _Gpu(torch.float16, layer=lambda *_: layer)
    if reason == "forced":
        layer.comfy_force_cast_weights = True
    if reason == "half of the weights":
        model.model.other = torch.nn.Linear(256, 256)
    assert fp16.remarks(model, {}) == []


def _sage_override(func, *args, **kwargs):
    return func(*args, **kwargs)


@pytest.mark.parametrize("left_out", [None, "sage", "compile", "Flux"])
def test_the_combination_known_to_give_noise_is_told_and_any_two_of_it_are_not(
    fp16, gpu, wan, patch_model, left_out
):
    from sagekit.core.attention.settings import Settings

    options = {"wrappers": {"apply_model": {} if left_out == "compile" else {"torch.compile": [print]}}}
    model = _Gpu(torch.float16, name="WAN21" if left_out == "Flux" else "Flux")
    if left_out == "sage":
        assert fp16.remarks(model, {"transformer_options": options}) == []
        off = patch_model(wan, Settings("off")).model_options["transformer_options"]
        assert fp16.remarks(model, {"transformer_options": options | off}) == []
        return
    for kernel in ("auto", "sage2-int8-fp8"):
        ours = patch_model(wan, Settings(kernel)).model_options["transformer_options"]
        found = fp16.remarks(model, {"transformer_options": ours | options})
        assert ["8689" in one for one in found] == ([] if left_out else [True])
    found = fp16.remarks(
        model, {"transformer_options": {"optimized_attention_override": _sage_override} | options}
    )
    assert ["8689" in one for one in found] == ([] if left_out else [True])
