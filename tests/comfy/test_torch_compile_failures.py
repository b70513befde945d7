"""A model that cannot be compiled, or not as asked: the picture comes, and the node says why."""

import errno
import logging

import pytest
import torch
from support.compiling import PROMPTS, SIZES, graphs, numbered_blocks, sample_at, swapped
from support.sampling import sample


def test_a_compiler_that_fails_costs_a_line_and_one_try_and_not_the_picture(
    wan, compile_model, backend, said, caplog
):
    calls = []

    def failing(graph, inputs):
        calls.append(graph)
        raise RuntimeError("something new")

    right = sample(wan)
    compiled = compile_model(wan, backend=backend(failing))
    with caplog.at_level(logging.WARNING, logger="sagekit"):
        for _ in range(2):
            assert torch.equal(sample(compiled), right)
            assert "runs uncompiled: BackendCompilerFailed: backend=" in said[-1]
    assert len(calls) == 1 and swapped(wan) == []
    assert caplog.text.count("runs uncompiled") == 1


def test_what_the_user_can_mend_is_tried_again_once_in_each_run(wan, compile_model, backend, said):
    calls, full = [], [True]

    def writing(graph, inputs):
        calls.append(graph)
        if full[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        return graph.forward

    right = sample(wan)
    compiled = compile_model(wan, backend=backend(writing))
    for tries in (1, 2):
        assert torch.equal(sample(compiled), right)
        assert len(calls) == tries
        assert "runs uncompiled: the disk with the compiled code is full; free some space" in said[-1]
    full[0] = False
    assert torch.equal(sample(compiled), right)
    assert said[-1].startswith("2 blocks compiled: 1 graph in ") and "uncompiled" not in said[-1]


@pytest.mark.parametrize("changed", ["size", "prompt", "override", "object patch"])
def test_a_compiler_that_failed_is_tried_again_in_other_circumstances_and_not_in_the_same(
    wan, compile_model, backend, changed
):
    calls = []

    def failing(graph, inputs):
        calls.append(graph)
        raise RuntimeError("something new")

    name = backend(failing)
    at, model = {"size": SIZES[0], "tokens": PROMPTS[0]}, wan.clone()
    sample_at(compile_model(wan, backend=name), **at)
    if changed == "size":
        at["size"] = SIZES[1]
    elif changed == "prompt":
        at["tokens"] = PROMPTS[1]
    elif changed == "override":
        override = numbered_blocks([])
        model.model_options["transformer_options"]["optimized_attention_override"] = override
    else:
        model.add_object_patch("model_sampling", wan.get_model_object("model_sampling"))
    for tries in (2, 2):
        sample_at(compile_model(model, backend=name), **at)
        assert len(calls) == tries
    sample_at(compile_model(wan, backend=name), SIZES[0], PROMPTS[0])
    assert len(calls) == 2


def test_a_block_that_another_node_keeps_from_being_one_graph_compiles_when_that_node_is_gone(
    wan, compile_model, said
):
    right = sample(wan)
    model = wan.clone()  # Another pack's override is called between the graphs of a block.
    model.model_options["transformer_options"]["optimized_attention_override"] = numbered_blocks([])
    assert torch.equal(sample(compile_model(model, fullgraph=True)), right)
    assert "a block cannot be taken as one graph; switch fullgraph off" in said[-1]
    assert torch.equal(sample(compile_model(wan, fullgraph=True)), right)
    assert said[-1].startswith("2 blocks compiled: 1 graph in ")


def test_a_compiler_that_fails_half_way_through_a_block_starts_the_step_again(
    wan, compile_model, backend, said
):
    calls = []

    def failing_later(graph, inputs):
        calls.append(graph)
        if len(calls) == 3:
            raise RuntimeError("Python.h: No such file or directory")
        return graph.forward

    right = sample(wan)
    model = wan.clone()  # Another pack's override is called between the graphs of a block.
    model.model_options["transformer_options"]["optimized_attention_override"] = numbered_blocks([])
    assert torch.equal(sample(compile_model(model, backend=backend(failing_later))), right)
    assert len(calls) == 3 and "Python's headers are missing" in said[-1]


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), KeyboardInterrupt("stop")])
def test_out_of_memory_and_a_stop_are_not_taken_for_a_compiler_that_fails(wan, compile_model, backend, error):
    def ending(graph, inputs):
        raise error

    with pytest.raises((type(error), torch._dynamo.exc.BackendCompilerFailed), match=str(error)):
        sample(compile_model(wan, backend=backend(ending)))
    assert swapped(wan) == []


def test_an_error_of_the_model_itself_goes_up_as_it_is(wan, compile_model, monkeypatch):
    compiled = compile_model(wan)
    sample(compiled)
    head = type(wan.model.diffusion_model.head)

    def forward(*args, **kwargs):
        raise ValueError("of the model")

    monkeypatch.setattr(head, "forward", forward)
    with pytest.raises(ValueError, match="of the model"):
        sample(compiled)
    assert swapped(wan) == []


def test_a_cancel_while_compiling_ends_the_run_and_the_next_one_works(wan, compile_model, backend):
    from comfy import model_management

    def cancelled(graph, inputs):
        model_management.interrupt_current_processing()
        return graph.forward

    right = sample(wan)
    compiled = compile_model(wan, backend=backend(cancelled))
    with pytest.raises(model_management.InterruptProcessingException):
        sample(compiled)
    assert swapped(wan) == []
    assert torch.equal(sample(compiled), right)


def test_a_limit_on_graphs_is_told_and_the_latent_right(wan, compile_model, compiling, said, monkeypatch):
    if not compiling._knows_recompile_limit():
        pytest.skip("this torch has one limit for all")
    monkeypatch.setattr(compiling, "RECOMPILE_LIMIT", 1)
    compiled = compile_model(wan, dynamic="false")
    sample(compiled)
    assert "limit" not in said[-1]
    latent = sample_at(compiled, SIZES[1], PROMPTS[0])
    assert "torch has reached its limit of graphs" in said[-1]
    assert torch.equal(latent, sample_at(wan, SIZES[1], PROMPTS[0]))


def test_under_fullgraph_the_limit_is_told_as_what_it_is_and_sizes_that_have_graphs_run_in_them(
    wan, compile_model, compiling, said, monkeypatch
):
    if not compiling._knows_recompile_limit():
        pytest.skip("this torch has one limit for all")
    monkeypatch.setattr(compiling, "RECOMPILE_LIMIT", 1)
    compiled = compile_model(wan, dynamic="false", fullgraph=True)
    for size, told in (
        (SIZES[0], "2 blocks compiled: 1 graph in "),
        (SIZES[1], "runs uncompiled: torch has reached its limit of graphs for a part of this model, and"),
        (SIZES[0], "2 blocks compiled; nothing new to compile in this run"),
    ):
        assert torch.equal(sample_at(compiled, size, PROMPTS[0]), sample_at(wan, size, PROMPTS[0]))
        assert told in said[-1]


def test_a_machine_that_cannot_compile_is_told_before_the_first_try(wan, compile_model, said, monkeypatch):
    from sagekit.core.compile import machine

    monkeypatch.setattr(machine, "why_not", lambda *_: "no C++ compiler was found; install one")
    right, before = sample(wan), graphs()
    assert torch.equal(sample(compile_model(wan, backend="inductor")), right)
    assert graphs() == before
    assert "runs uncompiled: no C++ compiler was found; install one" in said[-1]
