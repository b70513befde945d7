"""Every sentence of this room: the options of the command line, and what it says of kernels and backups."""

from ..machine.message import Catalogue

HELP = Catalogue(
    {
        "help-of-command": (
            "Tries every attention kernel of this Python in a child process against float32 attention. "
            "Installs nothing."
        ),
        "help-of-exit-codes": (
            "Exit codes: 0 all well, 1 something refused, 2 wrong or crashed, 3 the check failed."
        ),
        "help-json": "one JSON object; fields are only ever added",
        "help-full": "every length from 1 to 130, in both dtypes",
        "help-store": "file of verdicts; default: the ComfyUI around this pack's",
        # The doctor.
        "help-of-doctor": "None of these installs anything; a written file is yours to start.",
        "help-plan": "only what to install here, and how to go back",
        "help-sage3": "plan SageAttention 3 too (FP4, RTX 50 only)",
        "help-explain": "what a log or error means; - reads what you paste",
        "help-machine": (
            "with --plan or --explain: answer for the machine that --json or --report printed there"
        ),
        "help-write-fix": "the plan as a .bat or .sh to read and start",
        "help-write-launcher": "a launch file beside ComfyUI's own; the node needs no flag",
        "help-with-flag": "the launch file has --use-sage-attention",
        "help-report": "one block without names or folders, for an issue",
        "help-python": (
            "make sure that it is this Python that runs; for a backup, the environment that is meant"
        ),
        # Backups.
        "help-of-backups": (
            "Of the whole environment, as one folder; without a verb the kernels are checked."
        ),
        "help-verbs": (
            "backup: keep it as it is now; backups: list them; verify NAME: read one whole; restore NAME: "
            "put one back, with ComfyUI closed; forget NAME: take one away"
        ),
        "help-name": "of a backup; a new one is named by date and time",
        "help-to": "where backups are; default: beside the environment",
    },
    english_only=True,
)

COMMAND = Catalogue(
    {
        # What was typed and does not go.
        "wrong-usage": "{fault}. What there is: --help. Nothing was changed.",
        "to-without-verb": "--to goes with a verb such as backup. Nothing was written.",
        "verb-goes-without": "{verb} goes without --{option}. Nothing was changed.",
        "machine-goes-alone": (
            "--machine goes with --plan or --explain alone: nothing can be tried, written or kept for "
            "another machine. Nothing was changed."
        ),
        "with-flag-alone": "--with-flag goes with --write-launcher. Nothing was written.",
        "no-environment-named": (
            "{named} is no Python environment: there is no python.exe, Scripts/python.exe or bin/python in "
            "it. Nothing was changed."
        ),
        "another-python": (
            "That is another Python than the one that runs. Start the check with it:\n{command}"
        ),
        "log-unreadable": "{file} cannot be read: {error}.",
        "paste-until-ctrl-z": "Paste the log or error, then press Enter and Ctrl-Z and Enter:",
        "paste-until-ctrl-d": "Paste the log or error, then press Enter and Ctrl-D:",
        "check-itself-failed": "The kernel check itself failed: {error}",
        # What the check found.
        "system-line": "System: {facts}",
        "system-and-release": "{system} {release}",
        "comfyui-version": "ComfyUI {version}",
        "gpus-unread": "gpus: torch does not import: {error}",
        "not-read": "not read: {what}",
        "kernels-on": "Kernels on {gpu}:",
        "kernels-without-gpu": "Kernels on this machine (no NVIDIA GPU that torch sees):",
        "no-gpu-to-try-on": "needs an NVIDIA GPU that torch sees, got none",
        "refused-for": "{reasons:then}",
        "time-of-shape": "{shape}: {milliseconds:g} ms",
        "title-of-mismatches": "What does not fit together:",
        "title-of-limits": "What this machine cannot do, whatever is installed:",
        "title-of-errors": "What the errors mean:",
        "title-of-surroundings": "Around this Python:",
        "plan-line": "Plan: {outcome}. {summary}",
        "verdicts-line": "Verdicts {remark}.",
        "verdicts-have-no-folder": (
            "not kept: this pack is in the custom_nodes of no ComfyUI that has run, or its user folder is "
            "elsewhere (--store FILE keeps them)"
        ),
        "verdicts-kept": "kept for ComfyUI's next start in {folder}",
        "verdicts-kept-as-it-seems": (
            "kept for ComfyUI's next start in {folder}. One with --user-directory looks there instead, and "
            "is known here once it has run"
        ),
        # What was written.
        "nothing-to-write": "There is nothing to put into a script. {summary} Nothing was written.",
        "fix-written": "{file} is written. Read it, close ComfyUI, then start it: {command}",
        "fix-without-backup": "The script makes no backup of the whole environment. {why}",
        "launcher-written": "{file} is written. The node Patch Sage Attention needs no launch flag.",
    },
    english_only=True,
)

BACKUPS = Catalogue(
    {
        # What does not go.
        "verb-needs-a-name": "{verb} needs a name; `backups` lists them. Nothing was changed.",
        "backups-takes-no-name": "backups lists all of them and takes no name. Nothing was changed.",
        "environment-not-there": "{folder} is not there. Nothing was written.",
        "which-python-is-not-known": "Which Python is meant is not known.",
        "stopped": "Stopped. Nothing was lost; the next call tidies up.",
        "disk-refused": "{error}. The environment is as it was, and so are its backups.",
        "disk-forbade": (
            "{error}. Close ComfyUI and whatever else may have it open, and start this as a user who may "
            "write there. The environment is as it was, and so are its backups."
        ),
        "error-of-a-file": "{file}: {error}",
        "restores-itself": (
            "This Python runs from {folder}, and cannot take its own place. Start the restore with another "
            "one; nothing was changed:\n{command}"
        ),
        "environment-in-use": (
            "{folder} is in use by {programs}. Close ComfyUI and whatever else runs from it, then try again; "
            "nothing was changed."
        ),
        # What was done.
        "backup-made": ("Backup {name}: {files} files, {size}; {copied} new on the disk, in {folder}"),
        "way-back": "To go back to it, with ComfyUI closed: {command}",
        "backup-line": "made {when}, {files} files, {size}, {copied} of its own, in {folder}",
        "backup-line-of-another": (
            "made {when}, {files} files, {size}, {copied} of its own, in {folder}, of {environment}"
        ),
        "replaced-line": "replaced by a restore, in {folder}",
        "no-backup-yet": "There is no backup of {folder} yet.",
        "backup-damaged": "The backup {name} is damaged; `restore` refuses it:",
        "backup-sound": "The backup {name} is sound: {files} files, {size}, all read.",
        "restored": "{folder} is again as {name} has it.",
        "replaced-is-kept": (
            "What it replaced is kept: `restore {name}` takes it back, `forget {name}` frees its room."
        ),
        "forgotten": "{name} is gone; the other backups are whole.",
        "step-of-backup": (
            "Back up the whole environment as {name} (the first time it takes as much room again)"
        ),
        "backup-progress": "{doing}: {percent} % of {amount}",
    },
    english_only=True,
)
