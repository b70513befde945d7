"""Every sentence of this room that has a code: the notices of a start."""

from ..machine.message import Catalogue

NOTICES = Catalogue(
    {
        "versions-changed": (
            "Since the last kernel check: {changes}. The kernels are checked again in the background."
        ),
        "package-kept-out": (
            "The package {package} cannot be imported here ({verdict}) and is kept out of this start, as if "
            "it were not installed. ComfyUI's log has the cause and the fix."
        ),
        "startup-fallback": (
            "{flag} asks for a kernel that does not work here ({verdict}). ComfyUI has started with "
            "PyTorch's attention instead."
        ),
        "ids-taken": (
            "The node id {id} belongs to the pack {by} here; SageKit's node is there as {instead}. "
            "A workflow saved with the other id needs this one: with the workflow open, press "
            '"Use SageKit\'s nodes" in the SageKit panel. In an API prompt, write {instead}.'
        ),
    }
)
