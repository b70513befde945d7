"""Compiled models of ComfyUI's architectures: the right blocks, the right result, and few graphs.

All of it in inference mode, as ComfyUI runs nodes: outside it torch also looks at what a tensor is a view of.
"""

import collections

import pytest
import torch
from support.compiling import graphs, numbered_blocks
from support.tiny_architectures import ARCHITECTURES, build, sample_at

# What a latent has more than the smallest one, in height and width.
SIZES = ((0, 0), (0, 8), (8, 0), (16, 16), (16, 8))
PROMPTS = (16, 24, 40)
GRID = [(*size, tokens) for size in SIZES for tokens in PROMPTS]
UNET = ARCHITECTURES["sdxl"]


@pytest.fixture(autouse=True)
def inference_mode():
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module", params=list(ARCHITECTURES))
def architecture(request):
    return ARCHITECTURES[request.param]


@pytest.fixture(scope="module")
def built(attention, architecture):
    """A model of the architecture; its modules are imported, so that ``compiling`` finds them."""
    with torch.inference_mode():
        return build(architecture)


@pytest.fixture(scope="module")
def unet(attention):
    with torch.inference_mode():
        return build(UNET)


def skip_where_every_guard_is_kept() -> None:
    from sagekit.core.compile.compiled import _knows_guard_filter

    if not _knows_guard_filter():
        pytest.skip("this torch keeps every guard, and a UNet's blocks look at their numbers")


def test_the_blocks_are_found(architecture, built):
    from sagekit.core.compile.blocks import find_blocks, kind_of

    found = find_blocks(built.model.diffusion_model)
    assert collections.Counter(type(block).__name__ for block in found) == architecture.blocks
    assert len({kind_of(block) for block in found}) == architecture.kinds


def test_five_sizes_and_three_prompt_lengths_take_three_graphs_for_each_kind_of_block_and_then_none(
    architecture, built, compile_model
):
    if architecture is UNET:
        skip_where_every_guard_is_kept()
    compiled, before = compile_model(built), graphs()
    for height, width, tokens in GRID:
        sample_at(compiled, architecture, height, width, tokens)
    made = graphs() - before
    assert architecture.kinds <= made <= 3 * architecture.kinds
    for height, width, tokens in GRID:
        latent = sample_at(compiled, architecture, height, width, tokens)
        assert torch.equal(latent, sample_at(built, architecture, height, width, tokens))
    assert graphs() - before == made


def test_compiled_for_any_size_from_the_start_a_kind_of_block_takes_two_graphs(unet, compile_model):
    """One more where a size of the first run is by chance that of something else."""
    skip_where_every_guard_is_kept()
    compiled, before = compile_model(unet, dynamic="true"), graphs()
    for height, width, tokens in GRID:
        sample_at(compiled, UNET, height, width, tokens)
    assert graphs() - before <= 2 * UNET.kinds


def test_an_override_of_another_pack_sees_every_block_of_a_unet_as_it_is(unet, compile_model):
    """A UNet's block has its number from two places, neither of which a graph is made anew for."""

    def watched(seen):
        model = unet.clone()
        model.model_options["transformer_options"]["optimized_attention_override"] = numbered_blocks(seen)
        return model

    plain, seen = [], []
    right = sample_at(watched(plain), UNET, 0, 8, 16, steps=2)
    compiled = compile_model(watched(seen))
    for _ in range(2):
        seen.clear()
        assert torch.equal(sample_at(compiled, UNET, 0, 8, 16, steps=2), right)
        assert seen == plain and len(set(seen)) == 2 * 28


class Patches:
    """The ways in which another pack's function gets into a UNet's block; each for one block alone."""

    def attn1_replace(self, model):
        def replacement(q, k, v, extra_options):
            return 0.5 * v

        model.set_model_attn1_replace(replacement, "input", 4, 1)

    def attn2_replace(self, model):
        """IP-Adapter's way: every transformer of the block with the block's number alone."""

        def replacement(q, k, v, extra_options):
            return 0.5 * q

        model.set_model_attn2_replace(replacement, "output", 3)

    def attn1_patch(self, model):
        def patch(n, context, value, extra_options):
            return (
                (n, context, 0.5 * value) if extra_options["block"] == ("input", 7) else (n, context, value)
            )

        model.set_model_attn1_patch(patch)

    def attn2_output_patch(self, model):
        def patch(n, extra_options):
            return 0.5 * n if extra_options["block_index"] == 1 else n

        model.set_model_attn2_output_patch(patch)


@pytest.mark.parametrize("way", [name for name in vars(Patches) if name.startswith("attn")])
def test_a_patch_for_one_block_of_a_unet_works_in_that_one_whatever_was_compiled_before(
    unet, compile_model, way
):
    patched = unet.clone()
    getattr(Patches(), way)(patched)
    plain, right = (sample_at(model, UNET, 0, 0, 16, steps=2) for model in (unet, patched))
    assert not torch.equal(plain, right)
    for model, latent in ((unet, plain), (patched, right), (unet, plain), (patched, right)):
        assert torch.equal(sample_at(compile_model(model), UNET, 0, 0, 16, steps=2), latent)
