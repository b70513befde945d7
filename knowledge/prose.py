"""The numbers that sentences name, each from the table that holds it: ``{blackwell_cuda}`` is "12.8"."""

from functools import lru_cache

from .facts import table
from .tables import dotted, driver_of, minor_of_triton, numbers, oldest_for_sage, row_of_gpu, tables, torches


@lru_cache(maxsize=1)
def known() -> dict[str, str]:
    """Name to what a sentence says."""
    blackwell, turing = _gpu((12, 0)), _gpu((7, 5))
    last = max((one for one in _tritons() if numbers(one) < numbers(turing["triton_below"])), key=numbers)
    versions = tables()
    return {
        "blackwell_cuda": blackwell["cuda_from"],
        "blackwell_triton": blackwell["triton_from"],
        "blackwell_torch": _torches_of(blackwell["triton_from"])[0],
        "turing_post": f"post{turing['sage2_from_post']}",
        "turing_triton": last,
        "turing_torch": _torches_of(last)[-1],
        "after_turing_triton": turing["triton_below"],
        "after_turing_torch": _torches_of(turing["triton_below"])[0],
        "sage_1": table("wheels")["registry"]["sageattention"][-1],
        "sage_2": table("wheels")["index"]["version"],
        "sage_gpu": dotted(oldest_for_sage(1)),
        "registry_remark": table("wheels")["registry"]["remark"],
        "best_post": table("wheels")["best_post"]["post"],
        "older_gpus_cuda": versions["older_gpus"]["cuda"],
        "older_gpus_index": table("wheels")["torch_index"]["url"] + _tag(versions["older_gpus"]["cuda"]),
        "kitchen_cuda": _tag(f"{_kitchen()}.0"),
        "kitchen_driver": driver_of(_kitchen()),
        "blackwell_driver": versions["driver_for_blackwell"]["driver"],
        "triton_gpu": versions["triton_gpus"]["oldest"],
        "fp8_gpu": versions["triton_gpus"]["fp8_from"],
        "fp8_torch": _torches_of(versions["triton_gpus"]["fp8_on_windows"])[0],
        "fp8_triton": versions["triton_gpus"]["fp8_on_windows"],
        "left_behind_cuda": min((row["cuda_from"] for row in versions["oldest_gpu_of_torch"]), key=numbers),
        "runtime": table("wheels")["runtime"]["oldest"],
        "build_cuda": ", ".join(f"{gpu} needs {cuda}" for gpu, cuda in table("wheels")["build"]["cuda"]),
        "pairs": _pairs(),
    }


def _gpu(capability: tuple[int, int]) -> dict[str, str]:
    row = row_of_gpu(capability)
    if row is None:
        raise LookupError(f"versions.json has no row for a GPU of {dotted(capability)}")
    return row


def _kitchen() -> int:
    return int(table("wheels")["kitchen"]["cuda"])


def _tag(cuda: str) -> str:
    """ "cu126" of "12.6"."""
    return "cu" + cuda.replace(".", "")


def _tritons() -> list[str]:
    found = (minor_of_triton(numbers(torch), "linux") for torch in torches())
    return sorted({one for one in found if one}, key=numbers)


def _torches_of(triton: str) -> list[str]:
    """The minor versions of torch that a Triton belongs to, oldest first."""
    minor = dotted(numbers(triton)[:2])
    return [torch for torch in torches() if minor_of_triton(numbers(torch), "linux") == minor]


def _pairs() -> str:
    """ "Triton 3.3 belongs to torch 2.7, 3.4 to 2.8, ..."."""
    told = [f"{one} to torch {' and '.join(_torches_of(one))}" for one in _tritons()]
    return "Triton " + ", ".join(told).replace(" to torch", " belongs to torch", 1)
