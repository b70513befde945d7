"""Names of other node packs, read as ours."""

import sys
import types

import pytest
import torch
from sagekit.kernels_check.backends import backends
from sagekit.patches.attention import foreign_names
from sagekit.patches.attention.settings import AUTO, OFF, Settings
from sagekit.patches.compile import settings as compile_settings
from sagekit.patches.compile.foreign_values import compile_of, dynamic_of

# The modes of KJNodes' node as of 2026-08.
MODES = {
    "disabled",
    "auto",
    "sageattn_qk_int8_pv_fp16_cuda",
    "sageattn_qk_int8_pv_fp16_triton",
    "sageattn_qk_int8_pv_fp8_cuda",
    "sageattn_qk_int8_pv_fp8_cuda++",
    "sageattn3",
    "sageattn3_per_block_mean",
}


def test_every_mode_of_kjnodes_has_a_name_of_ours():
    assert set(foreign_names.KJNODES) == MODES


@pytest.mark.parametrize("mode", sorted(MODES))
def test_the_name_of_ours_is_a_choice_of_the_node(mode):
    assert foreign_names.ours(mode) in {AUTO, OFF, *backends()}


@pytest.mark.parametrize(
    ("mode", "function", "accumulator"),
    [
        ("sageattn_qk_int8_pv_fp16_cuda", "sageattn_qk_int8_pv_fp16_cuda", "fp32"),
        ("sageattn_qk_int8_pv_fp16_triton", "sageattn_qk_int8_pv_fp16_triton", None),
        ("sageattn_qk_int8_pv_fp8_cuda", "sageattn_qk_int8_pv_fp8_cuda", "fp32+fp32"),
        ("sageattn_qk_int8_pv_fp8_cuda++", "sageattn_qk_int8_pv_fp8_cuda", "fp32+fp16"),
    ],
)
def test_the_kernel_calls_the_function_of_the_mode_with_the_same_accumulator(
    monkeypatch, mode, function, accumulator
):
    called = _called(monkeypatch, "sageattention", function, foreign_names.ours(mode))
    assert called.get("pv_accum_dtype") == accumulator


@pytest.mark.parametrize(("mode", "per_block"), [("sageattn3", False), ("sageattn3_per_block_mean", True)])
def test_the_modes_of_sageattention_3_differ_in_the_mean_of_q(monkeypatch, mode, per_block):
    called = _called(monkeypatch, "sageattn3", "sageattn3_blackwell", foreign_names.ours(mode))
    assert called["per_block_mean"] is per_block


def _called(monkeypatch, package: str, function: str, name: str) -> dict:
    """The keywords with which a kernel of ours calls the one function of a package that has no other."""
    said = {}

    def stand_in(q, k, v, **keywords):
        said.update(keywords)
        return v

    module = types.ModuleType(package)
    setattr(module, function, stand_in)
    monkeypatch.setitem(sys.modules, package, module)
    tensors = [torch.randn(1, 2, 128, 64, dtype=torch.float16) for _ in range(3)]
    backends()[name].load().attend(*tensors, mask=None, scale=None)
    return said


@pytest.mark.parametrize("name", ["auto", "off", "sdpa-cudnn", "a-kernel-from-the-future", ""])
def test_every_other_name_stays_as_it_is(name):
    assert foreign_names.ours(name) == name


def test_disabled_is_off():
    assert Settings(foreign_names.ours("disabled")).is_off


@pytest.mark.parametrize(("value", "whole"), [(True, False), (False, True)])
def test_a_yes_to_blocks_only_compiles_blocks_and_a_no_the_whole_model(value, whole):
    assert compile_settings.Settings(compile_of(value)).is_whole is whole


@pytest.mark.parametrize("value", [True, False])
def test_a_yes_or_no_to_dynamic_is_the_choice_of_that_meaning(value):
    assert compile_settings.DYNAMIC[dynamic_of(value)] is value


@pytest.mark.parametrize("value", ["auto", "true", "false", "from-the-future"])
def test_words_for_dynamic_stay_as_they_are(value):
    assert dynamic_of(value) == value


@pytest.mark.parametrize("value", ["blocks", "whole model", "from-the-future"])
def test_words_for_what_is_compiled_stay_as_they_are(value):
    assert compile_of(value) == value
