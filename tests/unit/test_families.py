"""What the files in kernels/families declare, and what of it is kept in one place."""

import ast
from pathlib import Path

import pytest
from sagekit.check.check import check
from sagekit.kernels import gpus
from sagekit.kernels.backend import Backend
from sagekit.kernels.families import declare, families, in_comfyui, sought
from sagekit.kernels.kinds import EXACT, QUANTISED, Sparse
from sagekit.kernels.launch_flags import checked, flags
from sagekit.kernels.launch_flags import declare as declare_flags
from sagekit.kernels.select import Candidate, choose
from sagekit.machine import Distribution, Module, Sought
from support.machines import CALL, FULL

ROOT = Path(__file__).resolve().parents[2]


def test_a_generation_of_gpus_is_written_down_once():
    """No file but gpus.py holds a set of compute capabilities."""

    def pairs(path: Path) -> list[str]:
        sets = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Set))
        return [ast.unparse(one) for one in sets if any(isinstance(item, ast.Tuple) for item in one.elts)]

    found = {path.name: pairs(path) for path in (ROOT / "kernels").rglob("*.py")}
    assert [name for name, sets in found.items() if sets] == ["gpus.py"]


def test_the_generations_are_all_that_a_kernel_declares_and_none_is_in_two():
    every = [one for generation in gpus.GENERATIONS.values() for one in sorted(generation)]
    assert len(every) == len(set(every)) and sorted(every) == every
    for one in declare(FULL):
        assert one.capabilities is None or one.capabilities <= set(every), one.name


@pytest.mark.parametrize("family", families())
def test_every_package_that_a_kernel_needs_is_looked_for(family):
    known = {one.name for one in sought().distributions}
    needed = {
        name
        for backend in families()[family].declare({})
        for reason in backend.machine
        if reason.code == "not-installed"
        for name in reason.needed.split(" or ")
    }
    assert needed and needed <= known


def test_one_name_for_two_packages_is_refused_and_one_package_in_two_families_is_not():
    one, other = (Distribution("sage", Module(name, b"attn")) for name in ("sage", "other"))
    assert Sought.of([one, one], ["a/b", "a/b"]).names[-2:] == ("sage", "a/b")
    with pytest.raises(ValueError, match="package sage is declared twice"):
        Sought.of([one, other], [])


def test_the_launch_flags_and_the_names_of_their_verdicts_stay():
    assert set(flags()) >= {"use_sage_attention", "use_flash_attention", "use_ck_attention"}
    assert (
        checked().items() >= {"use_sage_attention": "flag-sage", "use_flash_attention": "flag-flash"}.items()
    )
    assert [one.name for one in declare_flags({})] == list(checked().values())


def test_what_comfyui_imports_belongs_to_a_package_that_is_looked_for():
    known = {one.name: one.module for one in sought().distributions}
    for one in in_comfyui():
        assert all(name.startswith(known[one.distribution].name) for name in one.modules)


@pytest.mark.parametrize(
    ("parameters", "fault"),
    [
        ({}, "one of tau and top_k"),
        ({"tau": 1.0, "top_k": 0.2}, "one of tau and top_k"),
        ({"top_k": 0.0}, "top_k between 0 and 1"),
        ({"top_k": 1.0}, "top_k between 0 and 1"),
        ({"tau": 1.0, "token_aug": -64}, "token_aug of 0"),
        ({"tau": 1.0, "sinks": (64, 0)}, "in order"),
    ],
)
def test_parameters_of_a_sparse_kernel_that_mean_nothing_are_refused(parameters, fault):
    with pytest.raises(ValueError, match=fault):
        Sparse(**parameters)


def test_a_kind_is_told_with_its_parameters():
    assert (str(EXACT), str(QUANTISED)) == ("exact", "quantised")
    assert str(Sparse(tau=1.3)) == "sparse (tau 1.3)"
    told = str(Sparse(top_k=0.2, token_aug=128, sinks=(0, 64)))
    assert told == "sparse (top 20%, token_aug 128, sinks 0 to 64)"


def test_a_sparse_kernel_is_not_judged_by_random_data():
    sparse = Backend("sparse", "sparse", lambda: None, 0.05, kind=Sparse(tau=1.0))
    verdict = check([sparse], "cpu")["sparse"]
    assert (verdict.state, verdict.detail.partition(":")[0]) == ("refused", "sparse")


def test_a_sparse_kernel_is_passed_over_whatever_may_be_chosen():
    sparse = Backend("sparse", "sparse", lambda: None, 0.05, kind=Sparse(tau=1.0))
    for exact in (False, True):
        choice = choose(CALL, [Candidate(sparse)], exact)
        assert choice.takers == () and [one.code for one in choice.passed_over[0][1]] == ["quality"]
