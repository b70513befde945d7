"""Real public reports: the doctor is right about each, or the report stands among those it is not right about yet."""

import pytest
from support.doctor_cases import MISLEADING, PARTLY, RIGHT, SILENT, cases, judged

# What the doctor is not right about yet. These lists only shrink: one that turns right fails until it is taken out.
LOGS_NOT_RIGHT: frozenset[str] = frozenset(
    {
        "001-triton-cuda-12.8-inductor",
        "003-tcc-command-in-error-report",
        "006-uv-build-backend-no-torch",
        "009-installer-failed-to-build-editable",
        "010-nixos-ldconfig-one-line",
        "012-mac-error-report-cuda",
        "014-amd-windows-with-nvidia-wheel",
        "016-rtx50-sage-2.0.0-egg",
        "017-black-mac-no-sage",
        "020-dll-qattn-chinese",
        "024-rtx5090-torch-cu126",
        "025-rtx5090-megapak-sage-only",
        "026-dynamo-cannot-trace-fused-warning",
        "028-triton-key-wan-traceback",
        "030-linker-cannot-find-lcuda-conda",
        "032-sageattn-unknown-location",
        "034-fp8e4nv-rtx3080",
        "036-no-c-compiler-linux-container",
        "039-cl-output-not-utf8-japanese",
        "040-cl-output-not-utf8-french",
        "042-xformers-triton-warning",
        "044-flash-attn-toggled-on",
        "046-flash-attn-sdist-long-path",
        "047-flash-attn-undefined-symbol",
        "055-pip-build-log-cut-in-the-middle",
        "056-docker-build-no-gpus-found",
        "058-cuda-home-on-amd-linux",
        "060-nvcc-12.0-torch-cu118",
        "063-failed-to-compile-cc-cmd",
        "066-overflow-flex-attention",
        "073-use-ck-attention-on-amd",
        "075-intel-arc-linux-cuda",
        "079-black-fp16-accumulation-no-sage",
        "081-kitchen-needs-cu130-warning",
        "083-xformers-no-operator",
        "101-noise-flux-sage-compile-fp16-accumulation",
        "amd-windows-clang-cl-no-stdlib",
        "black-qwen-fast-flag",
        "hip-kernel-image-invalid",
        "hipblas-invalid-value-gfx1102",
        "ptxas-refuses-turing",
        "server-error-gtx-1060",
        "tcc-long-path-prefix-python-313",
    }
)
PLANS_NOT_RIGHT: frozenset[str] = frozenset(
    {
        "084-plan-amd-windows",
        "085-plan-amd-linux",
        "087-plan-jetson-orin-upstream-build",
        "100-plan-third-party-wheel-does-not-load",
    }
)


@pytest.mark.parametrize("case", cases("explain"), ids=lambda case: case.name)
def test_a_log_is_answered_rightly_or_stands_among_those_that_are_not_yet(case):
    verdict = judged(case.truth, case.said())
    assert (verdict != RIGHT) == (case.name in LOGS_NOT_RIGHT), f"{verdict}: {case.truth['cause']}"


@pytest.mark.parametrize("case", cases("plan"), ids=lambda case: case.name)
def test_a_plan_is_right_or_stands_among_those_that_are_not_yet(case):
    verdict = judged(case.truth, case.said())
    assert (verdict != RIGHT) == (case.name in PLANS_NOT_RIGHT), f"{verdict}: {case.truth['cause']}"


def test_those_that_are_not_right_yet_are_cases():
    assert {one.name for one in cases("explain")} >= LOGS_NOT_RIGHT
    assert {one.name for one in cases("plan")} >= PLANS_NOT_RIGHT


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ("", SILENT),
        ("Update the driver.", MISLEADING),
        ("Something about Triton.", PARTLY),
        ("Something about\nTriton: empty its   cache.", RIGHT),
    ],
)
def test_the_judge_knows_the_four_verdicts(said, verdict):
    truth = {"must_say": [["triton"], ["empty its cache", "clear"]], "must_not_say": ["driver"]}
    assert judged(truth, said) == verdict
