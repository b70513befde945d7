"""What the server says, in the language of the page: by its code, and in English where that is unknown."""

# ruff: noqa: RUF001  The punctuation of these languages.

import json
import string

import pytest
from sagekit.core import catalogue
from sagekit.core.messages import Notice, Place, Remark, Shown
from sagekit.doctor.plan.catalogue import SUMMARY, WORDS, sentences
from sagekit.kernels.catalogue import REASONS
from sagekit.machine.message import Catalogue, said
from support import base_directory, web_answers
from support.planned import PLANS

LANGUAGES = ("zh", "zh-TW", "ja", "ko")
LINE = ".sagekit-line"
SLOWER = catalogue.REASONS("slower", winner="sdpa-cudnn", best=0.5, milliseconds=1.25)
DTYPE = REASONS("dtype", dtypes=("bfloat16", "float16"), dtype="float32")
FOUND = catalogue.ATTENTION(
    "kept-out",
    kernels=("sage2-int8-fp8",),
    causes=(catalogue.ATTENTION("not-finite"),),
    places=(catalogue.ATTENTION("place-block", number=3),),
)


def texts(language: str) -> Catalogue:
    file = base_directory.PACK / "locales" / language / "main.json"
    return Catalogue(json.loads(file.read_text(encoding="utf-8"))["sagekitMessages"])


def sample(form: str) -> object:
    """A value that Python and the browser write alike."""
    if form in ("dot", "then", "sentences"):
        return ("first", "second")
    return ("first",) if form in ("or", "and", "either", "both") else 0.75 if form else "value"


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_says_every_code_as_its_text_has_it(page, language):
    page.set("Comfy.Locale", language)
    every = texts(language)
    expected, spoken = {}, []
    for code, template in every.templates.items():
        fields = [one[1:3] for one in string.Formatter().parse(template) if one[1]]
        values = {name: sample(form) for name, form in fields}
        expected[code] = str(every(code, **values))
        spoken.append({"text": f"English of {code}", "code": code, "values": values})
    told = page.browser_page.evaluate(
        """async ([folder, spoken]) => {
            const { learn, told, wordsThere } = await import(`/extensions/${folder}/js/words.js`)
            await wordsThere
            learn(spoken)
            return Object.fromEntries(spoken.map((one) => [one.code, told(one.text)]))
        }""",
        [base_directory.PACK_FOLDER, spoken],
    )
    assert len(told) > 100 and told == expected


def shown(page) -> dict:
    """What a node says after a run that the guard had to do with."""
    summary = catalogue.ATTENTION(
        "run-summary",
        parts=(catalogue.ATTENTION("kernel-calls", kernel="sage2-int8-fp8", calls=1140),),
    )
    place = Place("PatchSageAttention", page.browser_page.evaluate("() => app.graph.id"))
    line = catalogue.ATTENTION("run-cancelled-after", calls=1140)
    return Shown(
        web_answers.NODE, line, (summary, FOUND), warnings=(Remark("guard", FOUND),), place=place
    ).as_data()


def test_a_message_on_a_node_follows_the_language_of_the_page_and_is_english_without_its_code(page):
    page.tell("sagekit.node", shown(page))
    line = page.browser_page.locator(LINE)
    line.filter(has_text="cancelled after 1,140 calls").wait_for()
    page.set("Comfy.Locale", "ja")
    line.filter(has_text="1,140 回の呼び出しの後にキャンセル").wait_for()
    title = line.get_attribute("title")
    assert "呼び出し：sage2-int8-fp8 1,140" in title
    assert (
        "sage2-int8-fp8 が NaN または Inf を出したため、このモデルの次の箇所では使いません：ブロック 3"
        in title
    )
    page.set("Comfy.Locale", "ko")
    line.filter(has_text="호출 1,140회 후 취소됨").wait_for()
    later = shown(page) | {"line": "of a later version", "time": shown(page)["time"] + 1}
    page.tell("sagekit.node", later | {"said": [{"text": later["line"], "code": "later", "values": {}}]})
    line.filter(has_text="of a later version").wait_for()
    page.set("Comfy.Locale", "en")
    page.tell("sagekit.node", shown(page) | {"time": later["time"] + 1})
    line.filter(has_text="cancelled after 1,140 calls").wait_for()


def test_a_notice_is_told_in_the_language_of_the_page(page):
    page.set("Comfy.Locale", "zh-TW")
    text = catalogue.ATTENTION("guard-notice", model="WAN21", finding=FOUND)
    page.tell("sagekit.notice", Notice("guard", text).as_data())
    words = "WAN21：sage2-int8-fp8 產生了 NaN 或 Inf，在此模型的以下位置不再執行：區塊 3"
    page.browser_page.locator(".p-toast-message", has_text=words).first.wait_for()


def test_reasons_and_warnings_of_a_run_follow_the_language_of_the_page(panel):
    passed_over = {"sage2-int8-fp8": [str(SLOWER), str(DTYPE)]}
    made = web_answers.run(
        warnings=[{"code": "guard", "text": str(FOUND)}],
        classes=[web_answers.one_class(web_answers.CALL, "", 32, "slower", passed_over=passed_over)],
        said=said([FOUND, SLOWER, DTYPE]),
    )
    panel.answer(report=web_answers.report(made))
    panel.page.set("Comfy.Locale", "zh")
    run = panel.body.locator(".sagekit-run")
    run.locator(".sagekit-warned", has_text="产生了 NaN 或 Inf").wait_for()
    run.locator("summary").first.click()
    run.locator("td details summary").first.click()
    item = run.locator("td details li").first.inner_text()
    assert "需要用时少于 sdpa-cudnn（0.5 ms），实际为 1.25 ms" in item
    assert "需要 bfloat16或float16，实际为 float32" in item
    panel.page.set("Comfy.Locale", "en")
    run.locator(".sagekit-warned", has_text="gave NaN or Inf and runs no more").wait_for()


def test_a_plan_follows_the_language_of_the_page(panel):
    made = PLANS["portable, sage for another torch"]
    step, every = made.steps[0], texts("ja")
    plan = made.as_data(private=True) | {"answers": [], "said": said(made.texts())}
    panel.answer(plan={"plan": plan})
    panel.page.set("Comfy.Locale", "ja")
    shown = panel.body.locator("[data-section='plan']")
    for text in (made.summary, step.title, step.why[-1]):
        shown.get_by_text(str(every(text.code, **text.values)), exact=True).first.wait_for()
        assert str(text) not in shown.inner_text()
    panel.page.set("Comfy.Locale", "en")
    shown.get_by_text(str(step.title), exact=True).first.wait_for()


def test_sentences_follow_each_other_as_the_language_has_them(page):
    page.set("Comfy.Locale", "zh")
    gives = SUMMARY("comfyui-gives", attention=WORDS("pytorchs-attention"))
    told = page.browser_page.evaluate(
        """async ([folder, spoken]) => {
            const { learn, told, wordsThere } = await import(`/extensions/${folder}/js/words.js`)
            await wordsThere
            learn([spoken])
            return told(spoken.text)
        }""",
        [base_directory.PACK_FOLDER, sentences(SUMMARY("no-version-works"), gives).as_data()],
    )
    assert told == (
        "没有任何版本的 SageAttention 能在此 GPU 上工作。"
        "ComfyUI 为它使用的是：PyTorch 的注意力。无需为此安装任何东西。"
    )
