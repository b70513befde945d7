"""What a saved workflow depends on, as each host tells it: it may grow at the end and never change."""

import pytest

OTHERS = {
    "PatchTorchCompile": {
        "model": ("MODEL", None),
        "compile": ("COMBO", "blocks"),
        "dynamic": ("COMBO", "auto"),
        "backend": ("COMBO", "inductor"),
        "mode": ("COMBO", "default"),
        "fullgraph": ("BOOLEAN", False),
        "cache": ("BOOLEAN", True),
    },
    "PatchFP16Accumulation": {"model": ("MODEL", None), "enabled": ("BOOLEAN", True)},
}
INPUTS = {
    "model": ("MODEL", None),
    "kernel": ("COMBO", "auto"),
    "quality": ("COMBO", "balanced"),
    "start_percent": ("FLOAT", 0.0),
    "end_percent": ("FLOAT", 1.0),
    "exact_first_blocks": ("INT", 0),
    "exact_last_blocks": ("INT", 0),
}


def inputs_of(node: dict) -> tuple[list[str], dict]:
    """The inputs' names in the order of their widgets in the page, and what the host tells of each."""
    groups = "required", "optional"
    order = [name for group in groups for name in node["input_order"].get(group, ())]
    return order, {name: facts for group in groups for name, facts in node["input"].get(group, {}).items()}


@pytest.mark.parametrize("node_id", ["PatchSageAttention", *OTHERS])
@pytest.mark.parametrize("prefix", ["", "SageKit"])
def test_the_model_alone_must_be_given(plain, node_id, prefix):
    node = plain.get(f"/object_info/{prefix}{node_id}")[prefix + node_id]
    assert node["input_order"]["required"] == list(node["input"]["required"]) == ["model"]


def test_the_host_offers_the_node_with_its_inputs_in_their_order(plain):
    node = plain.get("/object_info/PatchSageAttention")["PatchSageAttention"]
    assert node["display_name"] == "Patch Sage Attention"
    assert node["output"] == ["MODEL"]
    order, offered = inputs_of(node)
    assert order[: len(INPUTS)] == list(INPUTS)
    assert {name: (offered[name][0], offered[name][1].get("default")) for name in INPUTS} == INPUTS


def test_every_input_says_what_it_does(plain):
    node = plain.get("/object_info/PatchSageAttention")["PatchSageAttention"]
    assert all(facts["tooltip"] for _, facts in inputs_of(node)[1].values())


def test_the_choices_begin_with_auto_and_off_and_name_kernels_that_this_machine_lacks(plain):
    node = plain.get("/object_info/PatchSageAttention")["PatchSageAttention"]
    options = inputs_of(node)[1]["kernel"][1]["options"]
    assert options[:2] == ["auto", "off"]
    assert {"sdpa-flash", "sage2-int8-fp8", "hub-sage2-int8-fp8", "kitchen-int8"} <= set(options)


@pytest.mark.parametrize("node_id", OTHERS)
def test_the_other_nodes_have_their_inputs_in_their_order_and_each_says_what_it_does(plain, node_id):
    node, expected = plain.get(f"/object_info/{node_id}")[node_id], OTHERS[node_id]
    assert node["output"] == ["MODEL"]
    order, inputs = inputs_of(node)
    assert order[: len(expected)] == list(expected)
    offered = {name: (inputs[name][0], inputs[name][1].get("default")) for name in expected}
    assert offered == expected
    assert all(facts["tooltip"] for _, facts in inputs.values())
