"""Functions of other packs whose closure has a variable that is not set."""

import pytest
import torch
from sagekit.core.attention.settings import Settings
from sagekit.host import compiled_before, others
from support.sampling import sample


def wrapper_of_another_pack():
    """A wrapper under the key of the compile nodes that never uses one of its variables."""

    def wrapper(executor, *args, **kwargs):
        if not args:
            return unset
        return executor(*args, **kwargs)

    if wrapper is None:
        unset = None
    return wrapper


def test_a_compile_wrapper_with_an_unset_variable_stops_no_forward(wan, patch_model):
    right = sample(patch_model(wan, Settings("right")))
    model = patch_model(wan, Settings("right"))
    model.add_wrapper_with_key("apply_model", "torch.compile", wrapper_of_another_pack())
    assert torch.equal(sample(model), right)


@pytest.mark.parametrize("name", ["plain", "attention_sage"])
def test_an_override_with_an_unset_variable_is_judged_by_the_rest(attention, name):
    def function():
        raise AssertionError("nobody calls it")

    function.__qualname__ = name

    def override():
        return unset, function

    if name is None:
        unset = None
    assert others.quantises(override) is (name == "attention_sage")


def test_a_wrapper_with_an_unset_variable_is_told_from_one_that_keeps_all_guards(attention):
    options = {"wrappers": {"apply_model": {"torch.compile": [wrapper_of_another_pack()]}}}
    assert compiled_before.wrapped_without_guards(options)
