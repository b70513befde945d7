"""What a person says and what a program printed: complaints are looked for in words of persons alone."""

import pytest
from sagekit.doctor.causes.answer import explain
from sagekit.doctor.paste.paste import read
from sagekit.doctor.paste.prose import is_printed

LOG = """\
** Platform: Windows
Total VRAM 24564 MB, total RAM 65278 MB
pytorch version: 2.9.1+cu130
Your time is limited, and a broken pack is a pack that never works.
To see the GUI go to: http://127.0.0.1:8188
got prompt
100%|##########| 20/20 [00:08<00:00, 2.40it/s]
Prompt executed in 9.10 seconds
"""


@pytest.mark.parametrize(
    "line",
    [
        "it is stuck at 0% forever",
        "[Bug]: it is stuck at 0%",
        "Since the update it needs more VRAM than before.",
        "> it crashes every time",
    ],
)
def test_what_a_person_writes_is_no_print(line):
    paste = read(f"{line}\n\n{LOG}")
    assert not is_printed(paste, 3, 8)


@pytest.mark.parametrize(
    "line",
    [
        'File "C:\\ComfyUI\\nodes.py", line 3, in run',
        "[rgthree-comfy] Nodes 2.0 run MUCH more slowly and are broken.",
        "- **VRAM Usage**: 32%",
        "UserWarning: this never works on old versions",
        "!!! Exception during processing !!! it is broken",
        "C:\\ComfyUI_windows_portable>pause",
        "100%|####| 4/4",
        "Requested to load BrokenModel",
    ],
)
def test_what_a_program_prints_is_no_complaint(line):
    paste = read(f"ok\n{line}\n")
    place = paste.text.index("\n") + 6
    assert is_printed(paste, place, place + 3)


def test_what_a_start_prints_is_no_complaint_and_what_stands_around_it_is():
    assert explain(LOG) == []
    assert [one.code for one in explain(f"My pack is broken.\n\n{LOG}")] == ["complaint"]
    assert [one.code for one in explain(f"{LOG}\nAfter that it is stuck.\n")] == ["stuck-said"]


def test_a_complaint_comes_before_what_a_start_goes_on_without():
    missing = "[Strange ERROR] frobnicator is not installed. No module named 'frobnicator'\n"
    log = LOG.replace("To see", f"{missing}To see")
    assert [one.code for one in explain(log)] == ["import-without"]
    assert [one.code for one in explain(f"Every step is much slower than before.\n{log}")] == ["slow-said"]


def test_a_table_of_memory_is_no_complaint_about_memory():
    for said in ("VRAM usage: 32%", "RAM usage 12.1 / 64 GB", "GPU memory usage | 1200MiB / 24564MiB"):
        assert explain(said) == [], said
    for said in (
        "VRAM usage keeps growing",
        "it needs more VRAM",
        "the RAM usage is too high",
        "I get an OOM",
    ):
        assert [one.code for one in explain(said)] == ["memory-said"], said
