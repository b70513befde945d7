"""The panel's two buttons as a real server answers them, behind ComfyUI's own middleware."""

import json
import urllib.error
import urllib.request

import pytest

ROUTES = ("/sagekit/check", "/sagekit/runs/1/measure")


def post(server, route: str, **headers: str) -> tuple[int, dict]:
    request = urllib.request.Request(server.url + route, data=b"", headers=headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        body = error.read().decode()
        return error.code, json.loads(body) if body.startswith("{") else {}


@pytest.mark.parametrize("route", ROUTES)
def test_the_page_of_this_server_is_answered_with_a_sentence_and_its_code(plain, route):
    status, answer = post(plain, route, Origin=plain.url)
    assert status == 200
    (said,) = answer["said"]
    assert said["text"] == answer["text"]
    assert said["code"] == ("check-needs-a-gpu" if route.endswith("check") else "nothing-to-measure")


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    "headers", [{}, {"Origin": "http://evil.example.com"}, {"Sec-Fetch-Site": "cross-site"}], ids=str
)
def test_nobody_else_is(plain, route, headers):
    assert post(plain, route, **headers)[0] == 403


@pytest.mark.parametrize("run", ["x", "-1", "9" * 19, "1/2", ""])
def test_what_is_no_number_is_no_address(plain, run):
    assert post(plain, f"/sagekit/runs/{run}/measure", Origin=plain.url)[0] in (404, 405)


@pytest.mark.parametrize("route", ROUTES)
def test_to_look_changes_nothing(plain, route):
    with pytest.raises(urllib.error.HTTPError) as refused:
        plain.text(route)
    assert refused.value.code in (404, 405)
