"""A keyboard wedge on the counter's page, as the browser sees its keys."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, Route

from screens.serving import LocalServer
from tests.browser.conftest import TOKEN, Visitor
from tests.terminal.web.stand_in import COUNTER, StandIn

pytestmark = pytest.mark.browser

STRIPE = ";6228000200001117=19052201234567890?"
#: Keys with the pace of a wedge or of a person, made in the page so that no machine slows them.
TYPE = """async ([text, pace]) => {
  for (const key of [...text, "Enter"]) {
    const target = document.activeElement ?? document.body;
    const event = new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true});
    const goes = target.dispatchEvent(event);
    if (goes && key.length === 1 && target.tagName === "INPUT") target.value += key;
    if (pace) await new Promise((done) => setTimeout(done, pace));
  }
}"""


def _open(visitor: Visitor, site: LocalServer, sent: list[dict[str, Any]]) -> Page:
    """The page, with what it sends about keys taken down instead of served."""
    page = visitor.open(f"{site.origin}/counter?key={TOKEN}")

    def take(route: Route) -> None:
        sent.append(dict(route.request.post_data_json or {}))
        route.fulfill(json={"served": True})

    page.route("**/api/typed", take)
    return page


def _search(page: Page, terminal: StandIn) -> None:
    terminal.insert(COUNTER, "good")
    page.wait_for_selector("#search")
    page.focus("#search")


def test_a_wedges_line_goes_to_the_service_and_not_into_the_field(
    visitor: Visitor, site: LocalServer, terminal: StandIn
) -> None:
    sent: list[dict[str, Any]] = []
    page = _open(visitor, site, sent)
    _search(page, terminal)
    with page.expect_response("**/api/typed"):
        page.evaluate(TYPE, [STRIPE, 0])
    (body,) = sent
    assert (body["position"], body["keys"]) == (COUNTER, [*STRIPE, "Enter"])
    assert len(body["times"]) == len(body["keys"])
    assert body["times"] == sorted(body["times"])
    assert page.input_value("#search") == ""


def test_what_a_person_types_stays_in_the_field(
    visitor: Visitor, site: LocalServer, terminal: StandIn
) -> None:
    sent: list[dict[str, Any]] = []
    page = _open(visitor, site, sent)
    _search(page, terminal)
    page.evaluate(TYPE, ["dianyingpiao", 70])
    assert sent == []
    assert page.input_value("#search") == "dianyingpiao"
