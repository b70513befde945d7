"""The part of the panel that takes a log and says what its errors mean, against the real server."""

import json

import pytest

TRITON = "ModuleNotFoundError: No module named 'triton'"
NOT_HERE = (
    "Total VRAM 8192 MB, total RAM 32000 MB\nDevice: cuda:0 NVIDIA GeForce RTX 2060\n"
    "C:\\ComfyUI_windows_portable\\python_embeded\\python.exe\n" + TRITON
)
DROP = """
([element, name, bytes]) => {
  const data = new DataTransfer();
  data.items.add(new File([new Uint8Array(bytes)], name, {type: "text/plain"}));
  for (const kind of ["dragenter", "dragover", "drop"])
    element.dispatchEvent(new DragEvent(kind, {dataTransfer: data, bubbles: true, cancelable: true}));
}
"""
DROP_LONG = """
([element, head, count, wide]) => {
  const letter = wide ? [120, 0] : [120];
  const body = new Uint8Array(count * letter.length);
  for (let i = 0; i < body.length; i++) body[i] = letter[i % letter.length];
  const data = new DataTransfer();
  data.items.add(new File([new Uint8Array(head), body], "comfyui.log"));
  for (const kind of ["dragenter", "dragover", "drop"]) {
    const event = new DragEvent(kind, {dataTransfer: data, bubbles: true, cancelable: true});
    element.dispatchEvent(event);
  }
}
"""


@pytest.fixture
def part(panel):
    """The part, empty; its text outlives the panel, so that one test's would be the next one's."""
    panel.page.browser_page.unroute("**/sagekit/explain")
    found = panel.body.locator("[data-section='explain']")
    found.locator("textarea").fill("")
    found.page_of_test = panel.page
    return found


def explain(part, text: str) -> str:
    part.locator("textarea").fill(text)
    part.get_by_role("button", name="Explain", exact=True).click()
    part.get_by_text("Reading the text").wait_for(state="detached")
    return part.locator(".sagekit-answers").inner_text()


def test_a_pasted_error_is_answered_with_its_cause_and_its_fix(part):
    told = explain(part, f"some line before\n{TRITON}\n")
    assert TRITON in told and "some line before" not in told
    assert "Triton is not installed in ComfyUI's Python" in told and "Sources: " in told


def test_a_log_of_another_machine_is_said_to_be_one_and_has_no_command_of_this(part):
    told = explain(part, NOT_HERE)
    assert "another machine" in told
    assert part.locator(".sagekit-answers .sagekit-command").count() == 0


def test_that_a_log_is_of_another_machine_is_said_in_the_language_of_the_page(part, panel):
    explain(part, NOT_HERE)
    panel.page.set("Comfy.Locale", "ja")
    part.locator(".sagekit-note").filter(has_text="このログは別のマシンのものです").wait_for()
    panel.page.set("Comfy.Locale", "en")
    part.locator(".sagekit-note").filter(has_text="from another machine").wait_for()


def test_what_is_not_known_is_said_with_what_to_paste_instead_and_nothing_asks_nothing(part):
    assert "Nothing in this text is known here" in explain(part, "all is well")
    asked = []
    part.page_of_test.browser_page.on("request", lambda request: asked.append(request.url))
    part.locator("textarea").fill("  \n ")
    part.get_by_role("button", name="Explain", exact=True).click()
    part.page_of_test.browser_page.wait_for_timeout(300)
    assert not [url for url in asked if "explain" in url]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("megabytes", [0, 20])
def test_a_dropped_file_is_read_as_it_is_and_opens_no_workflow(part, encoding, megabytes):
    page = part.page_of_test.browser_page
    before = page.evaluate("() => app.graph.nodes.map(node => node.type)")
    text = f"{TRITON}\n" + "x" * (megabytes * 1_000_000) + "\n[ERROR] end of the log\n"
    data = text.encode(encoding)
    # So many numbers would take the page's bridge a minute: the long one is made where it is dropped.
    if megabytes:
        wide = encoding == "utf-16"
        page.evaluate(
            DROP_LONG,
            [
                part.locator("textarea").element_handle(),
                list(f"{TRITON}\n".encode(encoding)),
                megabytes * 1_000_000,
                wide,
            ],
        )
    else:
        page.evaluate(DROP, [part.locator("textarea").element_handle(), "comfyui.log", list(data)])
    part.get_by_text("Triton is not installed in ComfyUI's Python").first.wait_for()
    assert part.locator("textarea").input_value() == "comfyui.log"
    assert page.evaluate("() => app.graph.nodes.map(node => node.type)") == before


def test_what_was_pasted_and_answered_is_there_when_the_panel_is_opened_again(panel, part):
    explain(part, TRITON)
    panel.close()
    panel.open()
    again = panel.body.locator("[data-section='explain']")
    assert again.locator("textarea").input_value() == TRITON
    assert "Triton is not installed" in again.locator(".sagekit-answers").inner_text()


def test_a_server_that_fails_leaves_a_sentence(panel, part):
    page = panel.page.browser_page
    page.route("**/sagekit/explain", lambda route: route.fulfill(status=500, body="no"))
    assert "ComfyUI answered with an error: 500" in explain(part, TRITON)
    page.unroute("**/sagekit/explain")


def test_of_several_causes_each_has_what_to_do_beside_it_and_an_option_is_not_broken(panel, part):
    page = panel.page.browser_page
    parts = [{"cause": "First cause.", "fix": "See --force-upcast-attention."}]
    parts.append({"cause": "Other.", "fix": "B."})
    answer = {"line": "x", "cause": "One of these. (1) ...", "fix": "(1) ...", "commands": [], "sources": []}
    answer |= {"parts": parts, "question": "Which one runs?", "harmless": False}
    alone = answer | {"parts": [], "cause": "It alone.", "fix": "Do this."}
    body = json.dumps({"answers": [answer, alone]})
    page.route("**/sagekit/explain", lambda route: route.fulfill(body=body, content_type="application/json"))
    told = explain(part, "x")
    page.unroute("**/sagekit/explain")
    assert "One of these:" in told and "(1)" not in told and "Which one runs?" in told
    assert part.locator("ol li").all_inner_texts() == [
        "First cause.\nWhat to do: See --force-upcast-attention.",
        "Other.\nWhat to do: B.",
    ]
    assert "It alone.\nWhat to do: Do this." in told
    option = part.get_by_text("--force-upcast-attention", exact=True)
    assert option.evaluate("one => one.getClientRects().length") == 1


def test_markup_in_a_log_is_text_and_a_command_is_copied_whole(panel, part):
    page = panel.page.browser_page
    command = 'python_embeded\\python.exe -s -m pip install "<b>x</b>"'
    answer = {"line": "<img src=x onerror=alert(1)>", "cause": "a", "fix": "b", "commands": [command]}
    answer |= {"open_in": "Type it there.", "sources": [], "harmless": True, "note": "From elsewhere."}
    body = json.dumps({"answers": [answer]})
    page.route("**/sagekit/explain", lambda route: route.fulfill(body=body, content_type="application/json"))
    told = explain(part, "x")
    for words in (
        "<img src=x onerror=alert(1)>",
        "From elsewhere.",
        "Nothing has to be done",
        "Type it there.",
    ):
        assert words in told
    assert part.locator("img").count() == 0
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    part.get_by_role("button", name="Copy the command").click()
    part.get_by_text("Copied").wait_for()
    assert page.evaluate("() => navigator.clipboard.readText()") == command
    page.unroute("**/sagekit/explain")
