"""Names of other node packs, read as ours."""

import json
import sys
import types
from pathlib import Path

import pytest
import torch
from sagekit.core.attention import foreign_names
from sagekit.core.attention.settings import AUTO, OFF, Settings
from sagekit.core.compile import settings as compile_settings
from sagekit.core.compile.foreign_values import compile_of, dynamic_of
from sagekit.kernels.families import backends

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


PAGE = Path(__file__).resolve().parents[2] / "web" / "js" / "foreign_values.js"


@pytest.fixture(scope="module")
def meanings() -> dict[str, dict[str, str]]:
    """What the page makes of the values, by the widget's name; a yes or no is its text there."""
    text = PAGE.read_text(encoding="utf-8")
    return json.loads(text.partition("MEANINGS = ")[2].partition(";")[0])


def test_the_page_gives_a_kernel_the_name_that_the_node_reads_in_its_place(meanings):
    names = {name: ours for name, ours in foreign_names.KJNODES.items() if name != ours}
    assert meanings["kernel"] == {**names, "false": foreign_names.ours(False)}


def test_the_page_reads_a_yes_or_no_as_the_node_does(meanings):
    assert meanings["compile"] == {"true": compile_of(True), "false": compile_of(False)}
    assert meanings["dynamic"] == {"true": dynamic_of(True), "false": dynamic_of(False)}


@pytest.mark.parametrize("name", ["backend", "mode"])
def test_the_page_shows_in_place_of_cuda_graphs_what_runs_in_their_place(meanings, name):
    for value, shown in meanings[name].items():
        runs, said = compile_settings.understood(compile_settings.Settings(**{name: value}))
        assert getattr(runs, name) == shown
        assert any("CUDA graph" in sentence for sentence in said)


def test_the_page_translates_these_and_no_others(meanings):
    assert set(meanings) == {"kernel", "compile", "dynamic", "backend", "mode"}
    without = set(compile_settings._WITHOUT_CUDA_GRAPHS)
    assert (set(meanings["mode"]), set(meanings["backend"])) == (without, {"cudagraphs"})


@pytest.mark.parametrize("value", [None, 5, 1.5, [], {}, True, ["1", 0]], ids=repr)
def test_a_kernel_that_is_no_text_stays_as_it_is(value):
    assert foreign_names.ours(value) is value


def test_a_no_for_a_kernel_is_off():
    assert foreign_names.ours(False) == OFF


@pytest.mark.parametrize("value", [None, 5, 1, [], {}, ["1", 0]], ids=repr)
def test_what_is_no_yes_or_no_stays_as_it_is(value):
    assert compile_of(value) is value
    assert dynamic_of(value) is value


@pytest.mark.parametrize(("text", "whole"), [("true", False), ("True", False), ("false", True)])
def test_a_yes_or_no_as_text_is_one(text, whole):
    assert compile_settings.Settings(compile_of(text)).is_whole is whole
    assert dynamic_of(text) == text.lower()


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
