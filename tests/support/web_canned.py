"""The pack's routes answered by the test, so that a page sees any machine and any run."""

import json
import re

from . import web_answers

ROUTES = re.compile(r".*/sagekit/(report|status|plan)(\?.*)?$")


class Canned:
    """What the routes answer in one browser page; change it and the next request sees it.

    Attributes:
        answers: By the route's last word.
        gone: The server does not answer.
        refused: The status code that it answers with instead, 0 for none.
        asked: How often each route was asked.
    """

    def __init__(self) -> None:
        self.answers = {
            "report": web_answers.report(),
            "status": web_answers.status(),
            "plan": web_answers.plan(),
        }
        self.gone = False
        self.refused = 0
        self.asked = dict.fromkeys(self.answers, 0)

    def prepare(self, browser_page) -> None:
        """Stands between a page and its server."""
        browser_page.route(ROUTES, self._answer)

    def _answer(self, route) -> None:
        name = ROUTES.match(route.request.url)[1]
        self.asked[name] += 1
        if self.gone:
            route.abort("connectionrefused")
        elif self.refused:
            route.fulfill(status=self.refused, body="no")
        else:
            route.fulfill(body=json.dumps(self.answers[name]), content_type="application/json")
