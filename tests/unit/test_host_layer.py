"""What is known of ComfyUI is known in host/ alone; a node and the extension speak its node interface."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# ComfyUI's modules. comfy_kitchen is a package of kernels, which its family loads.
MODULES = re.compile(
    r"(comfy|comfy_execution|comfy_extras|folder_paths|nodes|server|execution|node_helpers)(\.|$)"
)
# What a node is made of: nodes/ and app/ are written in it.
INTERFACE = {"comfy_api"}
WRITTEN_IN_IT = {"nodes", "app"}
# Attributes and methods of ComfyUI's objects: a MODEL, what holds its weights, a guider, layers, the server.
ATTRIBUTES = frozenset(
    {
        "add_callback_with_key",
        "add_on_prompt_handler",
        "add_wrapper_with_key",
        "bias_function",
        "class_obj",
        "comfy_force_cast_weights",
        "container_function",
        "current_patcher",
        "currently_running",
        "diffusion_model",
        "get_clone_model_override",
        "get_model_object",
        "get_replacement",
        "get_tasks_remaining",
        "get_user_directory",
        "get_wrappers",
        "is_dynamic",
        "layout_type",
        "load_device",
        "manual_cast_dtype",
        "model_loaded_weight_memory",
        "model_patcher",
        "model_sampling",
        "node_replace_manager",
        "object_patches",
        "optimized_attention",
        "peek",
        "percent_to_sigma",
        "prompt_queue",
        "pytorch_attention_enabled",
        "quant_format",
        "remove_callbacks_with_key",
        "remove_wrappers_with_key",
        "send_sync",
        "take",
        "throw_exception_if_processing_interrupted",
        "weight_function",
        "xformers_enabled",
    }
)
# Keys of the dictionaries that it hands around.
KEYS = frozenset(
    {
        "transformer_options",
        "optimized_attention_override",
        "patches_replace",
        "apply_model",
        "diffusion_model",
    }
)
FILES = [
    file
    for room in ("app", "backup", "check", "core", "doctor", "kernels", "kernels_check", "machine", "nodes")
    for file in sorted((ROOT / room).rglob("*.py"))
]
FILES += [ROOT / "__init__.py", ROOT / "prestartup_script.py"]


def leaks(source: str, room: str) -> list[str]:
    """ "line: name" for whatever of ComfyUI a source knows."""
    found = []
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        found += [f"{node.lineno}: {name}" for name in names if MODULES.match(name)]
        found += [
            f"{node.lineno}: {name}"
            for name in names
            if name.partition(".")[0] in INTERFACE and room not in WRITTEN_IN_IT
        ]
        if isinstance(node, ast.Attribute) and node.attr in ATTRIBUTES:
            found.append(f"{node.lineno}: .{node.attr}")
        elif isinstance(node, ast.Constant) and node.value in KEYS | ATTRIBUTES:
            found.append(f"{node.lineno}: {node.value!r}")
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_file_outside_of_host_knows_comfyui(file):
    assert leaks(file.read_text(encoding="utf-8"), file.relative_to(ROOT).parts[0]) == []


@pytest.mark.parametrize(
    "source",
    [
        "import folder_paths",
        "from comfy.cli_args import args",
        "def f():\n    from server import PromptServer",
        "import comfy_api.latest",
        "def f(model):\n    return model.current_patcher",
        "def f(model):\n    return getattr(model, 'load_device', None)",
        "def f(options):\n    return options['transformer_options']",
    ],
)
def test_a_leak_is_found(source):
    assert len(leaks(source, "core")) == 1


def test_a_host_is_asked_for_what_it_can_and_never_for_its_version():
    for file in [*FILES, *sorted((ROOT / "host").rglob("*.py"))]:
        compared = [
            node
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
            if isinstance(node, ast.Compare) and "comfyui_version" in ast.dump(node)
        ]
        assert compared == [], file
