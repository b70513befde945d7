"""Compiled blocks in which other packs have put something of theirs."""

import pytest
import torch
from sagekit.check.reference import relative_error
from support.compiling import graphs, numbered_blocks, swapped
from support.sampling import STEPS, numbers_blocks, sample


def test_another_packs_override_sees_every_block_and_step_as_they_are(wan, compile_model):
    """In a graph it would see the first block and the first step for ever."""

    def watched(seen):
        model = wan.clone()
        model.model_options["transformer_options"]["optimized_attention_override"] = numbered_blocks(seen)
        return model

    right, plain, compiled, again = sample(wan), [], [], []
    sample(watched(plain))
    assert torch.equal(sample(compile_model(watched(compiled))), right)
    before = graphs()
    sample(compile_model(watched(again)))
    assert plain == compiled == again and len(set(plain)) >= STEPS
    assert graphs() == before


def test_a_patch_of_another_pack_inside_the_blocks_keeps_them_uncompiled(wan, compile_model, said):
    def patch(*args, **kwargs):
        raise AssertionError("this model's blocks do not call it on every host")

    model = wan.clone()
    model.set_model_attn2_output_patch(patch)
    before = graphs()
    assert torch.equal(sample(compile_model(model)), sample(wan))
    assert graphs() == before
    assert "runs uncompiled: another node runs attn2_output_patch inside the blocks" in said[-1]


def test_a_replaced_block_is_called_as_before_and_compiled(wan, compile_model):
    blocks = []

    def replacement(args, extra):
        blocks.append(args["img"].shape)
        return extra["original_block"](args)

    model = wan.clone()
    model.set_model_patch_replace(replacement, "dit", "double_block", 1)
    before = graphs()
    assert torch.equal(sample(compile_model(model)), sample(wan))
    assert len(blocks) == STEPS and graphs() == before + 1


def test_blocks_whose_forward_another_pack_replaced_run_as_they_are(wan, compile_model, said):
    block, calls = wan.model.diffusion_model.blocks[0], []

    def forward(*args, **kwargs):
        calls.append(torch.compiler.is_compiling())
        return type(block).forward(block, *args, **kwargs)

    model = wan.clone()
    model.add_object_patch("diffusion_model.blocks.0.forward", forward)
    assert torch.equal(sample(compile_model(model)), sample(wan))
    assert calls == [False] * STEPS
    assert "1 of 2 blocks run uncompiled: another node replaced them" in said[-1]
    assert swapped(wan) == []


def test_a_part_of_a_block_that_another_pack_replaced_sees_the_number_of_its_block(wan, compile_model):
    if not numbers_blocks():
        pytest.skip("this ComfyUI does not number Wan's blocks")
    model = wan.clone()

    def replacement(part):
        def forward(*args, **kwargs):
            scale = 1 + kwargs["transformer_options"]["block_index"]
            return type(part).forward(part, *args, **kwargs) * scale

        return forward

    for number, block in enumerate(wan.model.diffusion_model.blocks):
        model.add_object_patch(
            f"diffusion_model.blocks.{number}.cross_attn.forward", replacement(block.cross_attn)
        )
    plain, right = sample(wan), sample(model)
    assert relative_error(right, plain) > 1e-3
    for one, latent in ((wan, plain), (model, right), (wan, plain), (model, right)):
        assert torch.equal(sample(compile_model(one)), latent)
