"""A number that advice names is a fact of one table, and fits the machine that it is printed for."""

import ast
import re
from dataclasses import replace
from pathlib import Path

import pytest
from sagekit.doctor import rules
from sagekit.doctor.causes import symptom
from sagekit.doctor.causes.answer import explain
from sagekit.doctor.causes.situation import Situation, fits
from sagekit.doctor.paste.paste import Paste
from sagekit.doctor.paste.told import Told
from sagekit.doctor.plan.plan import make_plan
from sagekit.doctor.text import plan_lines
from sagekit.knowledge import prose
from sagekit.knowledge.facts import table
from sagekit.knowledge.tables import computes_in_float32, dotted, driver_of, minor_of_triton, numbers, torches
from sagekit.machine import Driver, Environment, Package, Torch
from support.many_machines import machines

ROOT = Path(prose.__file__).resolve().parents[1]
KNOWN = prose.known()


# Where a table holds the number, no sentence has a copy of it.
COPIES = {
    "the CUDA for an RTX 50": rf"(?i)CUDA {re.escape(KNOWN['blackwell_cuda'])}\b|cu128\b",
    "the torch for an RTX 50": rf"torch {re.escape(KNOWN['blackwell_torch'])}(?!\.?\d) or newer",
    "the last Triton for Turing": rf"Triton {re.escape(KNOWN['turing_triton'])}(?!\.?\d)",
    "the first Triton for an RTX 50": rf"Triton {re.escape(KNOWN['blackwell_triton'])}(?!\.?\d)",
    "SageAttention 1": rf"(?<![\d.]){re.escape(KNOWN['sage_1'])}(?!\.?\d)",
    "the CUDA for older GPUs": rf"(CUDA |\(){re.escape(KNOWN['older_gpus_cuda'])}\b|cu126\b",
    "the driver of CUDA 13": rf"(?i)driver[^.]{{0,20}} {KNOWN['kitchen_driver']}\b",
    "the best build": rf"older than {KNOWN['best_post']}\b",
    "the Visual C++ runtime": re.escape(KNOWN["runtime"]),
    "the Triton with FP8": re.escape(KNOWN["fp8_triton"]),
}
# Rows whose own fact is a number that others have too: which Visual Studio an nvcc takes.
OWN = {"vs-version"}


def sentences():
    """(where, text) of every cause and fix, and of every text in the doctor's code that is no docstring."""
    for row in table("symptoms")["symptoms"]:
        for one in row.get("causes", [row]):
            for part in ("cause", "fix"):
                if part in one:
                    yield row["code"], one[part]
    for path in sorted((ROOT / "doctor").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        docs = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
                yield str(path.relative_to(ROOT)), node.value


@pytest.mark.parametrize("name", COPIES)
def test_no_sentence_has_a_number_of_its_own_that_a_table_holds(name):
    copies = [(where, text) for where, text in sentences() if re.search(COPIES[name], text)]
    assert [one for one in copies if one[0] not in OWN] == []


def test_every_name_in_a_sentence_is_known_or_found_in_the_log():
    groups = {
        "program",
        "target",
        "status",
        "module",
        "package",
        "reason",
        "what",
        "stage",
        "type",
        "message",
        "name",
        "asking",
        "function",
        # Whose file an error stands in.
        "pack",
        "packs",
    }
    for row in table("symptoms")["symptoms"]:
        own = set(re.findall(r"\(\?P<(\w+?)[23]?>", row.get("match", "")))
        for one in row.get("causes", [row]):
            text = one.get("cause", "") + one.get("fix", "")
            assert set(re.findall(r"\{(\w+)\}", text)) <= groups | own | set(KNOWN), row["code"]


def test_every_number_that_sentences_name_is_named_by_one():
    told = " ".join(text for _, text in sentences())
    code = " ".join(path.read_text("utf-8") for path in (ROOT / "doctor").rglob("*.py"))
    code += " ".join(path.read_text("utf-8") for path in (ROOT / "core").rglob("*.py"))
    assert [
        name for name in KNOWN if f"{{{name}}}" not in told and f'"{name}"' not in code.replace("'", '"')
    ] == []


def test_the_tables_that_are_named_have_a_source():
    versions = table("wheels"), prose.tables()
    for part in ("older_gpus", "driver_for_blackwell", "triton_gpus"):
        assert versions[1][part]["source"]
    for part in ("kitchen", "best_post"):
        assert versions[0][part]["source"]


# What a sentence asks for, and the machine after it.
WANTED = {
    "torch": re.compile(r"(?<!build for )\btorch (\d+\.\d+)(?!\.\d)(?: or newer)?"),
    "cuda": re.compile(r"CUDA (\d+\.\d+)"),
    "triton": re.compile(r"(?:Triton|triton|triton-windows) (\d+\.\d+)(?!\.\d)(?! belongs)"),
    "sage": re.compile(r"(?i)sageattention (?:by )?(\d+\.\d+\.\d+)"),
}
ASKS = re.compile(
    r"^(?:An RTX 50 needs|A GPU older|a GPU older|Use|Install|Replace|Either|Change|SageAttention 1|Triton 3)"
)


def asked(text: str) -> dict[str, str]:
    """The versions that the asking sentences of a text name, the first of each."""
    found: dict[str, str] = {}
    for sentence in re.split(r"(?<=[.;:]) ", text):
        if ASKS.match(sentence):
            for name, expression in WANTED.items():
                if match := expression.search(sentence):
                    found.setdefault(name, match[1])
    return found


def after(machine: Environment, wanted: dict[str, str]) -> Environment:
    """The machine with what was asked for, and with what belongs to a new torch."""
    packages = dict(machine.packages)
    name = "triton-windows" if machine.system == "windows" else "triton"
    torch = machine.torch
    if "torch" in wanted or "cuda" in wanted:
        cuda = wanted.get("cuda", torch.cuda)
        torch = Torch(
            f"{wanted.get('torch', dotted(torch.release[:2]))}.0", f"cu{cuda.replace('.', '')}", cuda
        )
        if minor := minor_of_triton(torch.release, machine.system):
            packages[name] = Package(f"{minor}.0")
    if "triton" in wanted:
        packages[name] = Package(f"{wanted['triton']}.0")
    if "sage" in wanted:
        packages["sageattention"] = Package(wanted["sage"])
    elif "torch" in wanted or "cuda" in wanted:
        packages.pop("sageattention", None)
    return replace(machine, torch=torch, packages=packages, driver=Driver("999.0", ()))


def objections(machine: Environment, about: set[str]) -> set[str]:
    names = {
        "sage": {"sageattention"},
        "triton": {"triton", "triton-windows"},
        "torch": {"torch"},
        "cuda": {"torch"},
    }
    concerned = set().union(*(names[one] for one in about))
    return {one.reason.code for one in rules.mismatches(machine) if one.about in concerned}


def worse(machine: Environment, wanted: dict[str, str]) -> set[str]:
    """What the rules object to after it, and did not before."""
    return objections(after(machine, wanted), set(wanted)) - objections(machine, set(wanted))


def test_every_version_that_a_rule_asks_for_is_one_that_the_rules_take():
    count = 0
    for name, machine in machines():
        if machine.torch is None or machine.torch.is_nightly or machine.torch.kind != "cuda":
            continue
        for one in rules.mismatches(machine):
            if wanted := asked(one.do):
                count += 1
                assert worse(machine, wanted) == set(), (name, one.do)
    assert count > 300


def told_of(machine: Environment) -> Told:
    gpu, name = machine.gpus[0], "triton-windows" if machine.system == "windows" else "triton"
    there, sage = machine.packages.get(name), machine.packages.get("sageattention")
    return Told(
        system=machine.system,
        maker="nvidia",
        gpu=gpu.name,
        capability=gpu.capability or (),
        torch=str(machine.torch),
        triton=there.version if there else "",
        sage=sage.version if sage else "",
    )


def answers():
    """(row, cause, the versions that it asks for), for NVIDIA GPUs."""
    for one in symptom.symptoms():
        for cause in one.causes:
            text = cause.fix.format_map({**dict.fromkeys(re.findall(r"\{(\w+)\}", cause.fix), "x"), **KNOWN})
            makers = cause.when.get("maker!", cause.when.get("maker", ["nvidia"]))
            if (wanted := asked(text)) and "nvidia" in makers:
                yield one, cause, wanted, text


# Rows whose match names the GPU that they are about.
ABOUT = {
    "int8dot-fp-to-fp": (7, 5),
    "int8dot-extf": (7, 5),
    "below80-build": (7, 5),
    "sm120-ptxas": (12, 0),
    "mmaversion": (12, 0),
    # SageAttention 3 has code for these alone.
    "misaligned": (12, 0),
}


def is_about(one, cause, wanted, text, machine: Environment) -> bool:
    (capability,) = machine.capabilities or {()}
    if computes_in_float32(machine.gpus[0].name):
        return False
    if one.code in ABOUT:
        return capability == ABOUT[one.code]
    arch = cause.when.get("match", {}).get("arch") or cause.when.get("match", {}).get("sm", "")
    if "An RTX 50 needs" in text and "older than Turing" not in text:
        return capability >= (12, 0)
    if "older_gpus" in cause.fix:
        return bool(capability) and capability < (7, 5) and "An RTX 50" not in text
    if arch and not re.search(arch, f"sm{dotted(capability).replace('.', '')}"):
        return False
    found = Situation(Paste(""), told_of(machine))
    return fits({k: v for k, v in cause.when.items() if k not in ("match", "says")}, found, {}) is not False


def test_every_version_that_an_answer_asks_for_is_one_that_the_rules_take():
    some = [(name, one) for name, one in machines() if one.torch and one.torch.kind == "cuda" and one.gpus]
    some = [(name, one) for name, one in some if not one.torch.is_nightly and len(one.capabilities) == 1][::3]
    count, told = 0, set()
    for one, cause, wanted, text in answers():
        for name, machine in some:
            if is_about(one, cause, wanted, text, machine):
                count += 1
                told.add(one.code)
                assert worse(machine, wanted) == set(), (
                    one.code,
                    name,
                    text,
                    wanted,
                )
    assert count > 100 and told >= {"no-kernel-image", "torch-gpu", "sm120-ptxas", "int8dot-extf"}, told


def test_where_comfyui_computes_in_float32_no_sage_is_advised():
    log = "Device: cuda:0 NVIDIA GeForce GTX 1660 SUPER\nValueError: Unsupported CUDA architecture: sm75"
    (found,) = explain(log)
    assert "float32" in found.cause and KNOWN["sage_1"] not in found.fix
    (other,) = explain(log.replace("GTX 1660 SUPER", "RTX 2070"))
    assert KNOWN["sage_1"] in other.fix


def test_the_check_above_sees_advice_that_does_not_fit():
    machine = next(one for name, one in machines() if "RTX 5090, torch 2.5" in name)
    assert objections(after(machine, {"torch": "2.6", "cuda": "12.6"}), {"torch"}) == {
        "torch-cuda-too-old-for-gpu"
    }
    turing = next(one for name, one in machines() if "Tesla T4, torch 2.10" in name)
    assert "triton-too-new-for-gpu" in objections(
        after(turing, {"triton": "3.6", "sage": "1.0.6"}), {"triton", "sage"}
    )


PAIR = re.compile(r"Triton (\d+\.\d+) belongs to torch (\d+\.\d+)")
BELONGS = re.compile(r"(\d+\.\d+)(?: belongs)? to torch (\d+\.\d+)(?: and (\d+\.\d+))?")


def test_every_pair_of_triton_and_torch_that_is_said_is_one():
    texts = [KNOWN["pairs"]]
    texts += [line for _, machine in list(machines())[::7] for line in plan_lines(make_plan(machine))]
    pairs = {(one, torch) for text in texts for one, *of in BELONGS.findall(text) for torch in of if torch}
    assert len(pairs) >= len(torches())
    for triton, torch in pairs:
        assert minor_of_triton(numbers(torch), "linux") == triton


def test_the_driver_that_is_asked_for_starts_its_cuda():
    for cuda in (12, 13):
        machine = next(one for _, one in machines() if one.driver and one.gpus)
        machine = replace(machine, gpus=tuple(replace(one, capability=None) for one in machine.gpus))
        for version, wrong in ((driver_of(cuda), False), (str(int(driver_of(cuda)) - 1), True)):
            told = replace(
                machine, torch=Torch("2.10.0", f"cu{cuda}0", f"{cuda}.0"), driver=Driver(version, ())
            )
            assert ("driver-too-old" in {one.reason.code for one in rules.mismatches(told)}) is wrong
