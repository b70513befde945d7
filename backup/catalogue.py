"""Every sentence of this room: why something is refused, what is damaged, and what was tidied up."""

from ..machine.message import Catalogue

MESSAGES = Catalogue(
    {
        # Where an environment and its backups are.
        "no-environment-to-keep": (
            "{named} is no Python environment that can be kept as a folder: needs an embedded Python "
            "(python.exe with a python*._pth file) or a venv (pyvenv.cfg). Name one with --python FOLDER; "
            "nothing was changed."
        ),
        "store-inside": (
            "{folder} is inside the environment that is to be kept. Name a folder outside it; nothing was "
            "written."
        ),
        "file-in-the-way": "{folder} is a file, and a folder is needed there.",
        "no-such-backup": "There is no backup {name} of {folder}: needs {known:either}. Nothing was changed.",
        "no-backup-at-all": (
            "There is no backup {name} of {folder}: needs a backup to be made first. Nothing was changed."
        ),
        "without-a-name": "without a name",
        "no-name-of-a-backup": (
            "{name} cannot be a backup's name: needs letters, digits, - and _. Nothing was written."
        ),
        # Why it cannot be done now.
        "another-call-runs": (
            "Another backup or restore of {folder} is running. Wait for it; nothing was changed."
        ),
        "disk-too-full": (
            "The disk is too full: {what} needs {needed} free at {folder}, got {free}. Make room, or name "
            "another disk with --to; nothing was changed."
        ),
        "room-of-a-backup": "this backup",
        "room-of-a-restore": "the restored folder beside the old one",
        "file-keeps-changing": (
            "{file} changes while it is read. Close ComfyUI and whatever installs packages, then start the "
            "backup again; nothing was kept."
        ),
        "environment-cannot-be-moved": (
            "{folder} cannot be moved: {error}. Close ComfyUI and every window and program that has "
            "something of it open; the environment is as it was."
        ),
        "program-of-a-process": "{program} (process {number})",
        "programs-not-known": (
            "Which programs run from {folder} cannot be told by this Python: needs psutil. Start the restore "
            "with a Python that has it; nothing was changed."
        ),
        "backup-of-another-kind": (
            "The backup {name} is one of a {kind} Python, and {folder} is {other}. Nothing was changed."
        ),
        "backup-of-another-folder": (
            "The backup {name} is one of {folder}, and a venv works only there: got {other}. Nothing was "
            "changed."
        ),
        # A manifest that is not as it was written.
        "manifest-damaged": (
            "The manifest of the backup {name} is damaged: {why} ({file}). The environment is as it was; use "
            "another backup."
        ),
        "manifest-missing": "there is none",
        "manifest-unreadable": "it cannot be read, {error}",
        "manifest-is-none": "it is no manifest",
        "manifest-of-another-format": "needs format {needed}, got {came}",
        "manifest-of-another-checksum": "its checksum is another",
        "manifest-path-twice": "a path stands for two things",
        "manifest-path-in-no-folder": "{path} is in no folder of the backup",
        "manifest-path-leads-out": "{path} leads out of the folder",
        "manifest-of-no-environment": "it names no environment",
        "manifest-link-of-no-kind": "a link is of no kind",
        "manifest-checksum-is-none": "a checksum is none",
        # A backup that is not as its manifest says.
        "not-in-manifest": "{path}: not in the manifest",
        "file-missing": "{path}: missing",
        "file-of-another-size": "{path}: needs {needed} bytes, got {came}",
        "file-of-another-content": "{path}: its content is another than when it was kept",
        "links-are-others": "its links are others",
        "files-are-others": "its files are others",
        "backup-file-is-another": (
            "The backup {name} is damaged: {path} is another. The environment is as it was; use another "
            "backup."
        ),
        "backup-file-is-missing": (
            "The backup {name} is damaged: {path} is missing. The environment is as it was; use another "
            "backup."
        ),
        "prepared-folder-differs": (
            "The folder that was prepared is not as the backup {name} says: {what}. The disk may be failing; "
            "the environment is as it was."
        ),
        # What is being done, and what an interrupted call left.
        "copying": "Copying",
        "reading-the-backup": "Reading the backup",
        "reading-the-copy": "Reading the copy",
        "backup-taken-away": "An interrupted backup was taken away.",
        "restore-finished": "An interrupted restore was finished.",
        "restore-undone": "An interrupted restore was taken back.",
        "restore-taken-back": "An interrupted restore was taken back; the environment is as it was.",
    },
    english_only=True,
)
