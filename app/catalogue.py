"""Every sentence of this room that has a code: the notices of a start, and what its log says."""

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

# What comes of a button in the panel.
ACTIONS = Catalogue(
    {
        "check-begins": "The kernels are checked again, while no prompt runs.",
        "check-goes-on": "The kernel check goes on already.",
        "check-needs-a-gpu": "There is no NVIDIA GPU here that a kernel could be checked on.",
        "measured-anew": (
            "Forgotten: the times of {count} sizes of call. The next run measures them, and its errors, anew."
        ),
        "nothing-to-measure": "Nothing was measured in this run that could be measured anew.",
        "not-its-own-page": (
            "Only ComfyUI's own page may ask for this: needed the page's own address in the header Origin, "
            "got another one or none. Open ComfyUI under the address that it is asked under."
        ),
    }
)

# Read in the log of ComfyUI's start alone, before there is a page.
STARTUP = Catalogue(
    {
        "line-of-sagekit": "SageKit: {text}",
        "importing-apart": "importing {packages} in a process of its own before ComfyUI does",
        "importing-apart-again": "importing {packages} again in a process of its own before ComfyUI does",
        "checking-flag": "checking the kernel behind {flag} once (at most {limit:.0f} s)",
        # What does not work, and what becomes of it.
        "flag-does-not-work": "{flag} asks for a kernel that does not work here. {now}.",
        "flag-does-not-work-short": "{flag} asks for a kernel that does not work here: {verdict}",
        "starts-with-pytorch": "ComfyUI starts with PyTorch's attention instead",
        "flag-left-on": "SAGEKIT_STARTUP=report: it is left on, and ComfyUI may stop or answer wrongly",
        "no-import": "the package {package} cannot be imported here. {now}",
        "no-import-of-flag": "the package {package}, which {flag} asks for, cannot be imported here. {now}",
        "no-import-short": "the package {package} cannot be imported here: {verdict}",
        "kept-out-of-start": "It is kept out of this start: whatever imports it finds it not installed.",
        "kept-out-of-start-of-flag": (
            "It is kept out of this start: whatever imports it finds it not installed, and ComfyUI starts "
            "with PyTorch's attention instead."
        ),
        "no-import-because": "{package} cannot be imported: {error}",
        "package-let-in": "SAGEKIT_STARTUP=report: it is let in, and ComfyUI may stop.",
        "no-more-is-known": "{text} (no more is known: {error})",
        # Why, and what to do.
        "what-is-wrong": "what is wrong: {verdict}",
        "startup-cause": "cause: {cause}",
        "startup-fix": "fix: {fix}",
        "install-for-this-machine": "install {package} for this Python, PyTorch and GPU, or {otherwise}",
        "reinstall-for-this-machine": "reinstall {package} for this Python, PyTorch and GPU, or {otherwise}",
        "leave-flag-away": "leave {flag} away",
        "remove-package": "remove it:  {command}",
        "node-needs-no-flag": (
            "The node Patch Sage Attention needs no flag, and sends a kernel only the calls it can do."
        ),
        "hung-too-often": (
            "It has hung {times} times and is not tried again until something is installed anew."
        ),
        "tried-again": "It is tried again at the next start. SAGEKIT_STARTUP=off lets it in untried.",
        "whole-picture": "The whole picture:  {command}",
    },
    english_only=True,
)

# Read in the log of a ComfyUI that runs.
LOG = Catalogue(
    {
        "check-not-prepared": "the kernel check could not be prepared; models run on exact kernels",
        "check-failed": "the kernel check failed; models run on exact kernels",
        "no-folder-of-verdicts": "ComfyUI names no folder to keep verdicts in",
        "folders-not-told": "a check by hand will not know this ComfyUI's folders: {error}",
        "packs-not-looked-at": "SageKit could not look at the other packs",
        "prompt-not-read": "SageKit could not read a prompt before ComfyUI does",
        "nodes-not-replaced": "KJNodes' nodes are not replaced: {error}",
        "node-runs-in-its-place": "{node} is not installed; {instead} runs in its place",
    },
    english_only=True,
)
