"""What the two buttons of the panel do, and who may press them."""

from types import SimpleNamespace

import pytest

pytest.importorskip("torch", reason="torch is not installed")

from sagekit.app import actions
from sagekit.core.attention.plan import OnHost, Routed
from sagekit.core.session import Session

GPU = "NVIDIA Test GPU"
PAGE = {"Host": "10.0.0.5:8188", "Origin": "http://10.0.0.5:8188"}


@pytest.mark.parametrize(
    ("headers", "its_own"),
    [
        (PAGE, True),
        ({**PAGE, "Origin": "HTTP://10.0.0.5:8188"}, True),
        ({**PAGE, "Sec-Fetch-Site": "same-origin"}, True),
        # Behind a proxy that gives ComfyUI another name, over https.
        ({"Host": "comfy", "Origin": "https://me.example.com", "Sec-Fetch-Site": "same-origin"}, True),
        ({**PAGE, "Sec-Fetch-Site": "cross-site"}, False),
        ({**PAGE, "Sec-Fetch-Site": "same-site"}, False),
        ({**PAGE, "Sec-Fetch-Site": "none"}, False),
        ({**PAGE, "Origin": "http://10.0.0.5:9000"}, False),
        ({**PAGE, "Origin": "http://evil.example.com"}, False),
        ({**PAGE, "Origin": "null"}, False),
        ({"Host": "10.0.0.5:8188"}, False),
        ({"Origin": "http://"}, False),
        ({"Host": "", "Origin": "http://"}, False),
        ({"Host": "a", "Origin": "http://[a"}, False),
    ],
)
def test_only_a_page_of_this_server_may_ask(headers, its_own):
    assert actions.is_from_its_own_page(headers) is its_own


class Call:
    gpu = GPU

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text


@pytest.fixture
def session():
    session = Session({})
    for call in ("timed", "on the host", "of another model"):
        session.times.add(GPU, call, {"host": 2.0})
    plans = (
        Routed(name="k", kernel=None, call=Call("timed"), milliseconds=1.0),
        OnHost(why="no-faster-kernel", call=Call("on the host"), milliseconds=2.0),
        OnHost(why="off", call=Call("of another model")),
        OnHost(why="mask", call=None),
    )
    session.runs.kept.append(SimpleNamespace(number=7, counts=dict.fromkeys(plans, 1)))
    return session


def test_a_model_measured_anew_forgets_the_times_its_run_went_by_and_no_others(session):
    before = session.kernels.changes
    told = actions.measure_anew(session, 7)
    assert (told.code, told.values["count"]) == ("measured-anew", 2)
    assert [session.times.of(GPU, one) for one in ("timed", "on the host")] == [{}, {}]
    assert session.times.of(GPU, "of another model") == {"host": 2.0}
    # Plans that are known already would go on by the old times.
    assert session.kernels.changes == before + 1


def test_of_a_run_that_nobody_knows_nothing_is_forgotten(session):
    assert actions.measure_anew(session, 8).code == "nothing-to-measure"
    assert session.times.of(GPU, "timed") and session.kernels.changes == 0
