"""The declarations: what each kernel takes, on machines that are values."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
from sagekit.kernels.call import Call
from sagekit.kernels.families import declare
from sagekit.machine import Package
from sagekit.machine.reason import Reason
from support.machines import BLACKWELL, CALL, FULL, HOPPER, SAGE1, SAGE2_MODULES

# Workflows are saved with these names: none is ever renamed or removed. New ones need not be added here.
NAMES = {
    "flash2",
    "flash3",
    "flash4",
    "hub-sage2-int8-fp16",
    "hub-sage2-int8-fp8",
    "hub-sage2-int8-fp8-acc-fp32+fp16",
    "hub-sage2-int8-fp8-sm90",
    "kitchen-int8",
    "sage1-int8-fp16",
    "sage2-int8-fp16",
    "sage2-int8-fp16-acc-fp16+fp32",
    "sage2-int8-fp16-acc-fp16",
    "sage2-int8-fp16-triton",
    "sage2-int8-fp8",
    "sage2-int8-fp8-acc-fp32+fp16",
    "sage2-int8-fp8-acc-fp32",
    "sage2-int8-fp8-sm90",
    "sage3-fp4",
    "sage3-fp4-block-mean",
    "sdpa-cudnn",
    "sdpa-efficient",
    "sdpa-flash",
    "xformers",
}


def backend(name: str, packages=FULL):
    return next(one for one in declare(packages) if one.name == name)


def codes(name: str, call: Call, packages=FULL) -> list[str]:
    return [reason.code for reason in backend(name, packages).reasons(call)]


def test_the_names_are_those_that_workflows_were_saved_with_on_every_machine():
    on_each = [[one.name for one in declare(packages)] for packages in ({}, FULL, SAGE1)]
    assert all(names == on_each[0] for names in on_each)
    assert set(on_each[0]) >= NAMES and len(set(on_each[0])) == len(on_each[0])


@pytest.mark.parametrize(
    ("name", "packages", "call"),
    [
        ("sage1-int8-fp16", SAGE1, CALL),
        ("sage2-int8-fp16", FULL, CALL),
        ("sage2-int8-fp16-triton", FULL, CALL),
        ("sage2-int8-fp8", FULL, CALL),
        ("sage2-int8-fp8-sm90", FULL, HOPPER),
        ("sage3-fp4", FULL, BLACKWELL),
        ("kitchen-int8", FULL, CALL),
        ("flash2", FULL, CALL),
        ("flash3", FULL, HOPPER),
        ("flash4", FULL, HOPPER),
        ("sdpa-flash", FULL, CALL),
        ("sdpa-cudnn", FULL, CALL),
        ("sdpa-efficient", FULL, CALL),
        ("xformers", FULL, CALL),
    ],
)
@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({}, None),
        ({"device": "cpu", "capability": None}, "device"),
        ({"capability": (6, 1)}, "capability"),
        ({"dtype": "float32"}, "dtype"),
        ({"head_dim": 512}, "head-dim"),
        ({"needs_grad": True}, "grad"),
        ({"batch": 70_000}, "batch"),
        ({"unit_stride": False}, "stride"),
    ],
)
def test_one_step_outside_is_refused_for_that_reason_and_no_other(name, packages, call, changed, code):
    assert codes(name, replace(call, **changed), packages) == ([code] if code else [])


@pytest.mark.parametrize("name", ["sage2-int8-fp8", "kitchen-int8", "sage2-int8-fp16"])
def test_only_exact_kernels_take_a_call_that_must_be_exact(name):
    assert codes(name, replace(CALL, needs_exact=True)) == ["precision"]
    assert codes("sdpa-cudnn", replace(CALL, needs_exact=True)) == []


@pytest.mark.parametrize("kind", ["bool", "additive"])
def test_a_mask_is_refused_by_every_kernel_that_would_drop_it(kind):
    masked = {name: codes(name, replace(CALL, mask=kind)) for name in NAMES}
    takers = {name for name, found in masked.items() if "mask" not in found}
    assert takers == {"sdpa-cudnn", "kitchen-int8"}


def test_cudnn_takes_masks_from_the_torch_on_in_which_they_were_seen_right():
    masked = replace(CALL, mask="bool")
    assert codes("sdpa-cudnn", masked, FULL | {"torch": Package("2.11.0", "cu130")}) == []
    assert codes("sdpa-cudnn", masked, FULL | {"torch": Package("2.10.0", "cu130")}) == ["mask"]


@pytest.mark.parametrize(
    ("keys", "taken"),
    [(64, True), (65, False), (32_704, True), (32_760, True), (31_489, False), (31_501, True)],
)
def test_sage1_takes_lengths_whose_padding_weighs_little(keys, taken):
    assert codes("sage1-int8-fp16", replace(CALL, kv_len=keys), SAGE1) == ([] if taken else ["kv-length"])


@pytest.mark.parametrize(
    ("kv_len", "refused"), [(64, False), (4096, False), (77, True), (257, True), (65, True)]
)
def test_sage_1_is_refused_where_its_padded_keys_would_count(kv_len, refused):
    assert codes("sage1-int8-fp16", replace(CALL, kv_len=kv_len), SAGE1) == (["kv-length"] if refused else [])


@pytest.mark.parametrize("head_dim", [160, 192, 256])
def test_sage_2_on_hopper_never_gets_the_head_dims_that_kill_the_process(head_dim):
    assert codes("sage2-int8-fp8-sm90", replace(HOPPER, head_dim=head_dim)) == ["head-dim"]


def test_the_head_dims_of_sage_2_are_those_of_the_installed_build():
    upstream = FULL | {"sageattention": Package("2.2.0", "", SAGE2_MODULES, 128)}
    wide = replace(CALL, head_dim=256)
    assert codes("sage2-int8-fp16", wide) == []
    assert codes("sage2-int8-fp16", wide, upstream) == ["head-dim"]
    unknown = FULL | {"sageattention": Package("2.2.0", "", SAGE2_MODULES, None)}
    assert codes("sage2-int8-fp16", wide, unknown) == ["head-dim"]


def test_the_fp16_cuda_kernel_of_a_fork_wheel_is_kept_off_an_rtx_50():
    wheel = FULL | {"sageattention": Package("2.2.0", "cu128torch2.9.1.post3", SAGE2_MODULES, 256)}
    assert codes("sage2-int8-fp16", BLACKWELL, wheel) == ["capability"]
    assert codes("sage2-int8-fp16", BLACKWELL) == []


def test_a_compiled_module_that_the_build_lacks_is_named():
    lacking = FULL | {"sageattention": Package("2.2.0", "", frozenset({"_qattn_sm80"}), 256)}
    (reason,) = backend("sage2-int8-fp8-sm90", lacking).reasons(HOPPER)
    assert reason == Reason("module", "sageattention's _qattn_sm90", "_qattn_sm80")


def test_each_version_of_sageattention_says_what_the_other_kernels_need():
    assert codes("sage2-int8-fp8", CALL, SAGE1) == ["version"]
    assert codes("sage1-int8-fp16", CALL) == ["version"]


def test_every_missing_package_is_a_reason_of_its_own():
    assert codes("sage2-int8-fp8", CALL, {}) == ["not-installed", "not-installed"]
    assert codes("sage2-int8-fp8", CALL, FULL | {"triton-windows": Package("3.6.0")}) == []


def test_a_reason_says_both_sides():
    (reason,) = backend("sage2-int8-fp8").reasons(replace(CALL, capability=(8, 6)))
    assert str(reason) == "needs 8.9, 10.0, 12.0 or 12.1, got 8.6"


def test_offsets_past_32_bits_are_refused_only_by_kernels_that_cannot_reach_them():
    far = replace(CALL, max_offset=2**31)
    assert codes("sage2-int8-fp8", far) == ["offset"]
    assert codes("sdpa-flash", far) == []


def test_every_reason_is_given_not_only_the_first():
    call = replace(CALL, dtype="float32", head_dim=512, mask="bool", unit_stride=False)
    assert codes("sage2-int8-fp8", call) == ["dtype", "head-dim", "mask", "stride"]


def test_a_scale_goes_only_to_kernels_that_honour_it():
    assert codes("sage3-fp4", replace(BLACKWELL, scale=0.5)) == ["scale"]
    assert codes("sage3-fp4", replace(BLACKWELL, scale=128**-0.5)) == []
    assert codes("sage2-int8-fp8", replace(CALL, scale=0.5)) == []


FORWARD_ALONE = {name: one for name, one in FULL.items() if name != "flash-attn-3"} | {
    "fa3-fwd": Package("0.0.3")
}


@pytest.mark.parametrize(
    ("packages", "dtype", "refused"),
    [
        (FORWARD_ALONE, "bfloat16", []),
        (FORWARD_ALONE, "float16", ["dtype"]),
        (FULL | FORWARD_ALONE, "float16", []),
        ({"torch": FULL["torch"]}, "bfloat16", ["not-installed"]),
    ],
    ids=["forward alone", "forward alone, float16", "both", "neither"],
)
def test_flashattention_3_comes_whole_or_as_its_forward_alone_which_has_no_float16(packages, dtype, refused):
    assert codes("flash3", replace(HOPPER, dtype=dtype), packages) == refused


@pytest.mark.parametrize(
    ("packages", "module"), [(FULL, "flash_attn_interface"), (FORWARD_ALONE, "fa3_fwd_interface")]
)
def test_flashattention_3_is_called_in_its_own_layout(monkeypatch, packages, module):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    given = []

    def flash_attn_func(q, k, v, softmax_scale=None):
        given.append((q.shape, k.shape, softmax_scale))
        return q + 1, None

    monkeypatch.setitem(sys.modules, module, SimpleNamespace(flash_attn_func=flash_attn_func))
    q, k = torch.zeros(1, 4, 6, 8), torch.zeros(1, 2, 5, 8)
    out = backend("flash3", packages).load().attend(q, k, k, scale=0.5)
    assert torch.equal(out, q + 1)
    assert given == [((1, 6, 4, 8), (1, 5, 2, 8), 0.5)]
