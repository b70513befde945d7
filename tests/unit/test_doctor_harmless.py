"""Ordinary text in which nothing failed: the doctor names no cause for it."""

import pytest
from sagekit.doctor.causes.answer import explain

HARMLESS = {
    "nothing": "",
    "a start": "Total VRAM 24564 MB, total RAM 65278 MB\npytorch version: 2.9.1+cu130\n"
    "Set vram state to: NORMAL_VRAM\n"
    "Device: cuda:0 NVIDIA GeForce RTX 4090 : cudaMallocAsync\nUsing pytorch attention\nStarting server\n"
    "To see the GUI go to: http://127.0.0.1:8188",
    "a start with Sage": "pytorch version: 2.9.1+cu130\nUsing sage attention\nStarting server",
    "an installation": "Collecting einops\nInstalling collected packages: einops\n"
    "Successfully installed einops-0.8.1",
    "an installation of what is there": "Requirement already satisfied: numpy in /venv/lib (2.2.1)",
    "an installed Triton": "Installing collected packages: triton\nSuccessfully installed triton-3.5.0",
    "a run": "got prompt\nloaded completely 21000.0 13627.5 True\n100%|####| 20/20 [00:08<00:00, 2.4it/s]\n"
    "Prompt executed in 9.10 seconds",
    "a run with a warning": "got prompt\nFutureWarning: this name will change\n"
    "Prompt executed in 9.10 seconds",
    "the Manager": "[ComfyUI-Manager] network_mode: public\nFETCH ComfyRegistry Data: 25/111\n"
    "[ComfyUI-Manager] All startup tasks have been completed.",
    "import times": "Import times for custom nodes:\n"
    "   0.0 seconds: /srv/ComfyUI/custom_nodes/websocket_image_save.py",
    "a poem": "The river bends below the hill,\nthe evening light is on the mill,\nand slow the water goes.",
    "a workflow": '{"last_node_id": 9, "nodes": [{"id": 3, "type": "KSampler", "widgets_values": [1]}]}',
    "nvidia-smi": "NVIDIA-SMI 581.29   Driver Version: 581.29   CUDA Version: 13.0\n"
    "| 0  NVIDIA GeForce RTX 4090  On | 00000000:01:00.0  On | Off |\n| 1200MiB / 24564MiB | 2% |",
    "a listing": "torch 2.9.1+cu130\ntorchvision 0.24.1+cu130\ntransformers 4.57.1",
    "rocm-smi": "ROCm System Management Interface:\n- **Temp (Edge)**: 50.0\n- **VRAM Usage**: 32%\n"
    "- **GPU Usage**: 99%",
    "a pack that talks": "Total VRAM 12287 MB, total RAM 49075 MB\npytorch version: 2.8.0+cu128\n"
    "[rgthree-comfy] The new rendering appears to run MUCH more slowly, breaking some nodes.\n"
    '"A thing that never works is a thing that never hangs." - Unknown\n'
    "To see the GUI go to: http://127.0.0.1:8188\ngot prompt\nPrompt executed in 9.10 seconds",
    "git": "Updating f31b4d3..a27028e\nFast-forward\n README.md | 2 +-\n 1 file changed",
}


@pytest.mark.parametrize("name", HARMLESS)
def test_what_went_well_is_given_no_cause(name):
    assert [one.code for one in explain(HARMLESS[name])] == []
