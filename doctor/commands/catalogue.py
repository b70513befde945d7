"""Every sentence of this room: where a terminal is to be opened, and why there is no command."""

from ...machine.message import Catalogue

TERMINAL = Catalogue(
    {
        "folder-of-portable": (
            "the folder of ComfyUI portable (the one with python_embeded and ComfyUI in it)"
        ),
        "folder-of-comfyui": "ComfyUI's folder (the one with main.py in it)",
        "folder-of-base": "the folder that holds ComfyUI's custom_nodes and user",
        "folder-of-venv": (
            "the folder of the virtual environment that ComfyUI runs in (the one with pyvenv.cfg in it)"
        ),
        "folder-of-conda": (
            "the folder of the conda environment that ComfyUI runs in (the one with conda-meta in it)"
        ),
        "folder-of-python": "the folder of the Python that runs ComfyUI (the one with {program} in it)",
        "type-into-a-cell": "In a cell of the notebook, each command with ! before it.",
        "type-into-a-cell-there": (
            "In a cell of the notebook, each command with ! before it, after %cd into {folder}."
        ),
        "activate-environment": "Open a terminal and activate the environment that ComfyUI runs in.",
        "open-where-python-is": (
            "Open a terminal in which python is the Python that runs ComfyUI, and no other one."
        ),
        "open-desktops-own": (
            "Open ComfyUI Desktop's own terminal, in the panel at its bottom edge; pip is uv's there."
        ),
        "open-anywhere": "Open a terminal; any folder will do.",
        "open-in-explorer": (
            "Open {folder} in Explorer, type cmd into its address bar and press Enter. PowerShell takes the "
            "same lines."
        ),
        "open-in-folder": "Open a terminal in {folder}.",
        # Why there is no command.
        "names-a-folder": (
            "The commands name a folder of this machine that is not shown here. `kernels_check --plan`, "
            "started on the machine itself, prints them."
        ),
        "no-python-known": "There is no command: where the Python is that runs ComfyUI is not known.",
        "cannot-be-handed": "cmd.exe cannot be handed {part}",
        "not-to-be-typed": (
            "A folder's name has signs that cmd.exe cannot be handed; --write-fix writes a script."
        ),
    },
    english_only=True,
)
