"""The nodes under both of their ids, beside packs that have the plain one, on real servers."""

import urllib.request

import pytest
from support import base_directory, other_pack, workflows

NODES = ("PatchSageAttention", "PatchTorchCompile", "PatchFP16Accumulation")
SAGE, OWN_SAGE = "PatchSageAttention", "SageKitPatchSageAttention"
BEFORE, AFTER = "AnotherPack", "the_other_pack"
# The pack's folder is called sagekit.
PACKS = {
    "mappings, loaded before": (BEFORE, "by mappings", (SAGE,)),
    "mappings, loaded after": (AFTER, "by mappings", NODES),
    "entrypoint, loaded before": (BEFORE, "by entrypoint", NODES),
    "entrypoint, loaded after": (AFTER, "by entrypoint", (SAGE,)),
}


@pytest.fixture(scope="module", params=PACKS)
def beside(request, start, tmp_path_factory):
    """A server with another pack that has ids of ours: (server, its name, the ids)."""
    name, form, ids = PACKS[request.param]
    folder = tmp_path_factory.mktemp("beside")
    other_pack.write(folder / "base", name, form, ids)
    environment = other_pack.in_order_of_names(folder / "site")
    with start(base=folder / "base", **environment) as server:
        assert f"the other pack is loaded {request.param.rpartition(' ')[2]} SageKit" in server.log()
        yield server, name, ids


def of(server, node_id: str) -> dict:
    return server.get(f"/object_info/{node_id}")[node_id]


def under_own_ids(workflow: dict) -> dict:
    """The workflow with our nodes by the ids that nobody else has."""
    return {
        name: {**node, "class_type": f"SageKit{node['class_type']}"} if node["class_type"] in NODES else node
        for name, node in workflow.items()
    }


@pytest.mark.parametrize("node_id", NODES)
def test_where_the_plain_ids_are_free_the_second_ones_are_the_same_nodes_left_out_of_the_search(
    plain, node_id
):
    first, second = of(plain, node_id), of(plain, f"SageKit{node_id}")
    assert second.pop("deprecated") is True and not first.pop("deprecated")
    assert second.pop("name") == f"SageKit{first.pop('name')}"
    assert second.pop("display_name") == f"{first.pop('display_name')} (SageKit)"
    assert first == second


def test_where_the_plain_ids_are_free_nothing_is_said(plain):
    status = plain.get("/sagekit/status")
    assert (status["taken"], [one for one in status["notices"] if one["kind"] == "ids-taken"]) == ([], [])
    assert "node id" not in "\n".join(plain.lines_of_the_pack())


@pytest.mark.parametrize("node_id", NODES)
def test_both_ids_have_the_same_help_page(plain, node_id):
    def page(name):
        address = f"{plain.url}/extensions/{base_directory.PACK_FOLDER}/docs/{name}.md"
        with urllib.request.urlopen(address, timeout=30) as answer:
            return answer.read()

    assert page(f"SageKit{node_id}") == page(node_id)
    assert page(node_id) == (base_directory.PACK / "web" / "docs" / f"{node_id}.md").read_bytes()


def test_both_ids_run_alike(plain):
    workflow = workflows.sampling("wan", workflows.sage("sdpa-flash"))
    right = plain.latent(workflow)
    assert plain.latent(under_own_ids(workflow)) == right
    said = {(one["node_id"], one["node_type"]) for one in plain.get("/sagekit/report")["nodes"]}
    assert ("patch0", OWN_SAGE) in said


def test_the_other_pack_keeps_its_nodes_whichever_is_loaded_first(beside):
    server, name, ids = beside
    for node_id in ids:
        theirs = of(server, node_id)
        assert (theirs["python_module"], theirs["display_name"]) == (f"custom_nodes.{name}", "Their node")


def test_our_nodes_are_offered_under_the_ids_that_are_left(beside):
    server, _, ids = beside
    for node_id in NODES:
        own = of(server, f"SageKit{node_id}")
        assert own["python_module"] == "custom_nodes.sagekit"
        # Not in the search only where the plain one is.
        assert own["deprecated"] is (node_id not in ids)
        if node_id not in ids:
            assert of(server, node_id)["python_module"] == "custom_nodes.sagekit"


def test_the_log_the_panel_and_a_notice_say_whose_it_is_and_what_to_do(beside):
    server, name, ids = beside
    status = server.get("/sagekit/status")
    assert status["taken"] == [{"id": node_id, "by": name, "instead": f"SageKit{node_id}"} for node_id in ids]
    notices = [one["text"] for one in status["notices"] if one["kind"] == "ids-taken"]
    said = [line for line in server.lines_of_the_pack() if "node id" in line]
    assert said == [f"SageKit: {text}" for text in notices]
    assert len(notices) == len(ids)
    for node_id, text in zip(ids, notices, strict=True):
        assert f"id {node_id} belongs to the pack {name}" in text and f"write SageKit{node_id}" in text


def test_a_prompt_with_the_second_id_runs(beside):
    server, _, _ = beside
    workflow = under_own_ids(workflows.sampling("wan", workflows.sage("sdpa-flash")))
    assert server.latent(workflow)
    assert (server.get("/sagekit/report")["runs"][-1]["kernel"]) == "sdpa-flash"
