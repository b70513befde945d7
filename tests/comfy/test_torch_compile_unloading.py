"""What is compiled of a model goes with it, out of torch as well; what is compiled of others stays."""

import gc
import weakref

import pytest
import torch
from support import tiny_models
from support.compiling import graphs
from support.sampling import sample

# By class: a graph, what tells whether it fits, and what is known of the second half of one that broke.
OF_GRAPHS = ("GraphModule", "CheckFunctionManager", "ResumeFunctionMetadata")


@pytest.fixture
def load(compiling):
    """load(number) -> a tiny Wan whose blocks no other number's have the size of; none of it is kept."""
    import comfy.model_management
    import comfy.sd

    def one(number: int):
        shapes = {
            name: tuple(size + 16 * number if ".ffn." in name and size == wide else size for size in shape)
            for name, shape in tiny_models.wan_shapes().items()
        }
        return comfy.sd.load_diffusion_model_state_dict(tiny_models.random_weights(shapes, number))

    wide = 2 * tiny_models.WIDTH
    yield one
    comfy.model_management.unload_all_models()


def unload() -> None:
    import comfy.model_management

    comfy.model_management.unload_all_models()
    comfy.model_management.cleanup_models_gc()
    gc.collect()
    gc.collect()


def kept() -> list[str]:
    """Of what code torch has graphs."""
    from torch._dynamo.convert_frame import input_codes
    from torch._dynamo.eval_frame import _debug_get_cache_entry_list

    codes = filter(None, [known() for known in input_codes.seen])
    return sorted(code.co_name for code in codes for _ in _debug_get_cache_entry_list(code))


@pytest.mark.parametrize("breaks", [False, True], ids=["whole graphs", "graphs that break"])
def test_models_that_are_unloaded_leave_no_graphs(load, compile_model, attention, breaks, monkeypatch):
    import comfy.ldm.wan.model

    # What this ComfyUI has for processors breaks graphs and is compiled by itself.
    own = attention.attention_sub_quad if breaks else attention.attention_pytorch
    monkeypatch.setattr(comfy.ldm.wan.model, "optimized_attention", own)

    def left_by(numbers) -> tuple[list[str], dict[str, int]]:
        for number in numbers:
            sample(compile_model(load(number)))
            unload()
        names = [type(one).__name__ for one in gc.get_objects()]
        return kept(), {name: names.count(name) for name in OF_GRAPHS}

    after_two, after_five = left_by(range(2)), left_by(range(2, 5))
    assert after_five == after_two
    # Functions that other models call, too, are looked at when the next one runs.
    assert bool(after_two[0]) == breaks


def test_a_model_that_stays_keeps_its_graphs_and_its_twins(load, compile_model, attention, monkeypatch):
    import comfy.ldm.wan.model

    monkeypatch.setattr(comfy.ldm.wan.model, "optimized_attention", attention.attention_sub_quad)
    stays, twin, other = load(0), load(0), load(1)
    for model in (stays, twin, other):
        sample(compile_model(model))
    before, right = graphs(), sample(compile_model(stays))
    del twin, other, model
    unload()
    assert torch.equal(sample(compile_model(stays)), right)
    assert graphs() == before


def test_what_was_compiled_goes_with_the_model(load, compile_model, session):
    model = load(0)
    sample(compile_model(model))
    compilations = session.compilations
    (known,) = compilations._models.values()
    (one,) = known.values()
    gone = [weakref.ref(model.model), weakref.ref(one), *map(weakref.ref, one.codes)]
    assert len(gone) == 3
    del model, known, one
    unload()
    assert [held() for held in gone] == [None] * 3
    compilations.sweep()
    assert compilations._families == {}
