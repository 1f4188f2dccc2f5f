"""The dashboard in a real browser: one lb, one Chromium, one page after another."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import threading
import time
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from lb.telemetry.layout import BOUNDS_US
from lb.telemetry.series import ERRORS, FIRST_BUCKET, NOTHING, REQUESTS, Series

from .harness import Client, Origin, Scenario, answer, eventually
from .harness.process import Lb

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
EVIL = "<img/src=x/onerror=alert(1)>"  # a name may have no spaces
WORDS = "<img src=x onerror=alert(1)><script>alert(2)</script>"  # what operators write may
CHECK = "{tcp: true, interval: 100ms, timeout: 1s, rise: 1, fall: 1}"
CONFIG = f"""
listeners: [{{name: web, bind: "$web"}}]
services:
  app: {{servers: ["$a", "$b"], health_check: {CHECK}}}
  other: {{servers: ["$c"]}}
  found: {{discover: {{file: "$dir/found.json"}}}}
  "{EVIL}": {{servers: ["$c"]}}
routes:
  - {{name: everything, service: app}}
  - {{name: "{EVIL}", match: {{path_regex: "/evil|{EVIL}"}}, service: "{EVIL}"}}
"""
MANY = "\n".join(
    ['listeners: [{name: web, bind: "$web"}]', "routes: {/: s0}", "services:"]
    + [f"  s{i}: [{', '.join(f'127.{i}.0.{j}:9' for j in range(1, 11))}]" for i in range(200)]
)


class Traffic:
    """One client that asks without a pause."""

    def __init__(self, s: Scenario) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(s.client(),), daemon=True)
        self._thread.start()

    def _run(self, client: Client) -> None:
        with client:
            while not self._stop.is_set():
                client.get("/")
                time.sleep(0.005)

    def end(self) -> None:
        self._stop.set()
        self._thread.join(10)


@pytest.fixture(scope="module")
def s() -> Iterator[Scenario]:
    scenario = Scenario(CONFIG, **{name: Origin(answer(OK)) for name in "abc"})
    (scenario.directory / "found.json").write_text(json.dumps([scenario.names["c"]]))
    with scenario:
        traffic = Traffic(scenario)
        yield scenario
        traffic.end()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        if os.environ.get("CI") == "true":
            pytest.fail("chromium is not installed")
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


class Seen:
    """What a page did that it must not do: whatever it logs, dialogs, questions to others."""

    def __init__(self, page: Page, origin: str) -> None:
        self.asked: list[str] = []
        self.strange: list[str] = []
        page.set_default_timeout(8000)
        page.on("console", lambda message: self.strange.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.strange.append(str(error)))
        page.on("dialog", self._dialog)
        page.on("request", lambda request: self.asked.append(request.url))
        self._origin = origin

    def _dialog(self, dialog: Any) -> None:
        self.strange.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def check(self) -> None:
        assert not self.strange
        assert not [url for url in self.asked if not url.startswith(self._origin)]


def opened(browser: Browser, s: Scenario, **how: Any) -> tuple[Page, Seen]:
    page = browser.new_context(**how).new_page()
    address = f"http://{s.names['admin']}/"
    seen = Seen(page, address)
    page.goto(address)
    expect(page.locator("#state")).to_have_text("ready")
    return page, seen


@pytest.fixture
def page(browser: Browser, s: Scenario) -> Iterator[Page]:
    page, seen = opened(browser, s)
    yield page
    page.context.close()
    seen.check()


def row(page: Page, service: str) -> Any:
    return page.locator(f'#service-rows tr[data-name="{service}"]')


def server(page: Page, address: str) -> Any:
    return page.locator(".details tbody tr", has_text=address)


def shown(s: Scenario, name: str, service: str = "app") -> dict[str, Any]:
    path = f"/api/v1/servers?address={s.names[name]}"
    found = json.loads(s.lb.admin("GET", path)[1])["servers"]
    return next(one for one in found if one["service"] == service)["layers"]


def rate(text: str) -> float:
    return float(text.replace(",", "").replace("–", "0"))


def test_rates_move_with_the_traffic(page: Page) -> None:
    eventually(lambda: rate(page.locator('#total [data-name="requests/s"]').inner_text()) > 10)
    assert rate(row(page, "app").locator("td.n").first.inner_text()) > 10
    assert rate(row(page, "other").locator("td.n").first.inner_text()) == 0
    assert rate(page.locator("#listener-rows td.n").first.inner_text()) > 10
    expect(row(page, "app").locator("svg.plot")).to_be_visible()


def an_hour() -> dict[str, Any]:
    """As lb answers for its last hour. An hour cannot be waited for, so lb's own ring takes one here: requests
    from minute 5 on, none from 25 to 35, errors from 45 on, and slow ones then."""
    counts = array("q", NOTHING)
    series = Series(0, counts)
    for second in range(1, 3601):
        minute = second // 60
        if 5 <= minute < 25 or minute >= 35:
            counts = array("q", counts)
            number = 120 + minute + second * 7 % 40
            counts[REQUESTS] += number
            counts[ERRORS] += number // 5 if minute >= 45 else 0
            counts[FIRST_BUCKET + bisect_left(BOUNDS_US, 12_000 + second % 3 * 900)] += number
            counts[FIRST_BUCKET + bisect_left(BOUNDS_US, 240_000 if minute >= 45 else 30_000)] += number // 20
        series.take(second, counts)
    total = {"kind": "total", "name": "", **series.hour(3600)._asdict()}
    return {"span": "hour", "series": [total], "unknown": []}


def boxes(found: Any) -> list[dict[str, float]]:
    """Of the text, which may be wider than what it stands in."""
    of_text = "one => { const text = document.createRange(); text.selectNodeContents(one); return text; }"
    return found.evaluate_all(
        f"all => all.map({of_text}).map((text) => text.getBoundingClientRect().toJSON())"
    )


def apart(one: dict[str, float], other: dict[str, float]) -> bool:
    beside = one["right"] <= other["left"] or other["right"] <= one["left"]
    return beside or one["bottom"] <= other["top"] or other["bottom"] <= one["top"]


@pytest.mark.parametrize(("scheme", "width"), [("light", 1300), ("dark", 1200), ("light", 400)])
def test_the_plots_of_the_hour_can_be_read(browser: Browser, s: Scenario, scheme: Any, width: int) -> None:
    page = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800}).new_page()
    seen = Seen(page, f"http://{s.names['admin']}/")
    page.route("**/api/v1/live/history", lambda route: route.fulfill(json=an_hour()))
    page.goto(f"http://{s.names['admin']}/")
    plots = page.locator("#total-plot > div")
    expect(plots).to_have_count(2)
    said = [
        (plot.locator(".key").all_inner_texts(), plot.locator(".scale span").all_inner_texts())
        for plot in plots.all()
    ]
    assert said == [
        (["requests/s", "errors/s"], ["200", "100", "0"]),
        (["p99", "p50"], ["500 ms", "250 ms", "0"]),
    ]
    for plot in plots.all():
        drawn = plot.locator("svg")
        hour = plot.locator(".hour span")
        expect(hour).to_have_text(["1 h", "45 min", "30 min", "15 min", "now"])
        # A label of the scale stands at its line, one of the hour at its quarter, and none on another.
        frame = drawn.evaluate("one => one.getBoundingClientRect().toJSON()")
        for place, label in enumerate(boxes(plot.locator(".scale span"))):
            middle = (label["top"] + label["bottom"]) / 2 - frame["top"]
            assert abs(middle - frame["height"] * place / 2) < 2.5, "a label beside its line"
        for quarter, (label, side) in enumerate(zip(boxes(hour), (0, 0.5, 0.5, 0.5, 1), strict=True)):
            anchor = label["left"] + label["width"] * side - frame["left"]
            assert abs(anchor - frame["width"] * quarter / 4) < 2.5, "a label beside its quarter of the hour"
        assert all(b["left"] - a["right"] > 4 for a, b in pairwise(boxes(hour))), "labels of the hour touch"
        words = [*boxes(plot.locator(".key")), *boxes(plot.locator(".scale span")), *boxes(hour)]
        for at, one in enumerate(words):
            assert all(apart(one, other) for other in words[at + 1 :]), "one label stands on another"
            assert apart(one, frame), "a label stands on the plot"
    colours = "all => all.map((one) => getComputedStyle(one, one.tagName === 'SPAN' ? '::before' : null))"
    for key, path, of in (
        ("all", "area", "fill"),
        ("errors", "bad", "fill"),
        ("p99", "p99", "stroke"),
        ("p50", "p50", "stroke"),
    ):
        shown = page.locator(f"#total-plot .key.{key}").evaluate_all(
            f"{colours}.map((s) => s.backgroundColor)"
        )
        drawn = page.locator(f"#total-plot path.{path}").evaluate_all(f"{colours}.map((s) => s.{of})")
        assert shown == drawn, f"the key of {key} has another colour than its line"
    for name in ("p99", "p50"):  # no line where no request ended: before minute 5, and from 25 to 35
        path = page.locator(f"#total-plot path.{name}").get_attribute("d") or ""
        minutes = [
            [round(float(point.split()[0]) / 460 * 60) for point in piece.split("L")]
            for piece in path.split("M")[1:]
        ]
        assert [(piece[0], piece[-1]) for piece in minutes] == [(5, 25), (35, 60)]
    seen.check()
    page.context.close()


def test_filter_and_sort(page: Page, s: Scenario) -> None:
    names = page.locator("#service-rows button.name")
    expect(names).to_have_count(4)
    page.get_by_label("Sort").select_option("name")
    assert names.all_inner_texts() == sorted(names.all_inner_texts())
    eventually(lambda: rate(row(page, "app").locator("td.n").first.inner_text()) > 0)
    page.get_by_label("Sort").select_option("rate")
    assert names.first.inner_text() == "app"
    page.get_by_label("Filter").fill("oth")
    expect(names).to_have_text(["other"])
    page.get_by_label("Filter").fill(s.names["a"])
    expect(names).to_have_text(["app"])


def test_explain_says_a_decision(page: Page) -> None:
    page.get_by_label("URL").fill("http://example.test/x")
    page.get_by_label("Client's IP").fill("192.0.2.7")
    page.get_by_role("textbox", name="Listener").fill("web")
    page.get_by_role("button", name="Explain").click()
    expect(page.locator("#decision > *").first).to_contain_text("everything → app → 127.0.0.1:")
    expect(page.locator("#decision")).to_contain_text("192.0.2.7")
    expect(page.locator("#decision details")).to_contain_text("wanted")


def test_explain_says_what_is_wrong_with_a_question(browser: Browser, s: Scenario) -> None:
    page, seen = opened(browser, s)
    page.get_by_label("Method").fill("BAD METHOD")
    page.get_by_label("URL").fill("http://example.test/")
    page.get_by_role("button", name="Explain").click()
    expect(page.locator("#decision .bad")).to_contain_text("the request is malformed")
    assert len(seen.strange) == 1  # Chromium logs each answer of 400
    page.context.close()


def test_drain_and_lift_by_the_keyboard_alone(page: Page, s: Scenario) -> None:
    address, press = s.names["c"], page.keyboard.press

    def tab_to(name: str) -> None:
        for _ in range(60):
            press("Tab")
            if page.evaluate("document.activeElement.ariaLabel || document.activeElement.innerText") == name:
                return
        raise AssertionError(f"Tab does not come to {name}")

    tab_to("other")
    press("Enter")
    tab_to(f"Drain {address} of other")
    press("Enter")
    dialog = page.locator("dialog")
    expect(dialog).to_be_visible()
    press("Escape")
    expect(dialog).to_be_hidden()
    assert page.evaluate("document.activeElement.ariaLabel") == f"Drain {address} of other"
    press("Enter")
    expect(dialog).to_be_visible()
    press("Enter")  # without a reason nothing is ordered
    assert shown(s, "c", "other")["override"] is None
    assert page.evaluate("document.activeElement.name") == "author"
    page.keyboard.type("ann")
    press("Tab")
    page.keyboard.type("new disk")
    press("Enter")
    expect(dialog).to_be_hidden()
    order = shown(s, "c", "other")["override"]
    assert (order["mode"], order["author"], order["reason"]) == ("drain", "ann", "new disk")
    expect(server(page, address)).to_contain_text("new disk")
    expect(row(page, "other")).to_contain_text("1 draining")
    told = page.locator("#event-rows li", has_text="override").first.inner_text()
    assert told.count(address) == 1, told
    tab_to(f"Undrain {address} of other")
    press("Enter")
    press("Enter")  # the author is remembered
    expect(row(page, "other")).to_contain_text("1 up")
    assert shown(s, "c", "other")["override"] is None


def test_a_weight_is_ordered_in_the_dialog(page: Page, s: Scenario) -> None:
    row(page, "app").locator("button.name").click()
    server(page, s.names["a"]).get_by_role("button", name=f"Weight {s.names['a']} of app").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("textbox", name="Weight").fill("25%")
    dialog.get_by_label("Author").fill("ann")
    dialog.get_by_label("Reason").fill("a smaller machine")
    dialog.get_by_role("button", name="Weight").click()
    expect(dialog).to_be_hidden()
    order = eventually(lambda: shown(s, "a")["override"])
    assert (order["weight"], order["author"], order["reason"]) == (0.25, "ann", "a smaller machine")
    # As with `lb servers`, a drain keeps the weight, and a weight the drain.
    for name in ("Drain", "Weight"):
        server(page, s.names["a"]).get_by_role("button", name=f"{name} {s.names['a']} of app").click()
        dialog.get_by_role("textbox", name="Reason").fill("a new disk")
        if name == "Weight":
            dialog.get_by_role("textbox", name="Weight").fill("75%")
        dialog.get_by_role("button", name=name).click()
        expect(dialog).to_be_hidden()
        order = shown(s, "a")["override"]
        assert (order["mode"], order["weight"]) == ("drain", 0.75 if name == "Weight" else 0.25)
    server(page, s.names["a"]).get_by_role("button", name=f"Undrain {s.names['a']} of app").click()
    dialog.get_by_role("button", name="Lift the order").click()
    eventually(lambda: shown(s, "a")["override"] is None)


def test_where_a_server_comes_from_is_shown(page: Page, s: Scenario) -> None:
    row(page, "found").locator("button.name").click()
    expect(server(page, s.names["c"]).locator("th")).to_have_text(f"{s.names['c']} discovery")
    row(page, "other").locator("button.name").click()
    expect(page.locator(".details tbody th", has_text=s.names["c"]).last).not_to_contain_text("file")


def test_hostile_words_are_text(page: Page, s: Scenario) -> None:
    images = page.locator("img, main script, iframe")
    row(page, EVIL).locator("button.name").click()
    server(page, s.names["c"]).get_by_role("button", name="Drain", exact=False).first.click()
    page.get_by_label("Author").fill(WORDS)
    page.get_by_label("Reason").fill(WORDS)
    page.locator("dialog button.primary").click()
    expect(page.locator("dialog")).to_be_hidden()
    expect(server(page, s.names["c"])).to_contain_text(WORDS)
    expect(page.locator("#event-rows")).to_contain_text(WORDS)
    expect(page.locator("#route-rows")).to_contain_text(EVIL)
    page.get_by_label("URL").fill("http://example.test/evil")
    page.get_by_label("Headers").fill(f"x: {WORDS}")
    page.get_by_role("button", name="Explain").click()
    expect(page.locator("#decision")).to_contain_text(EVIL)
    page.locator("#config-text summary").click()
    expect(page.locator("#config-text pre")).to_contain_text(EVIL)
    expect(images).to_have_count(0)
    server(page, s.names["c"]).get_by_role("button", name="Undrain").click()
    page.locator("dialog button.primary").click()
    expect(row(page, EVIL)).to_contain_text("1 up")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser: Browser, s: Scenario, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    path = f"/api/v1/services/other/servers/{s.names['c']}/override"
    body = json.dumps({"mode": "drain", "author": "ann", "reason": "new disk"})
    assert s.lb.admin("PUT", path, body)[0] == 200  # an event, that there is one to look at
    assert s.lb.admin("DELETE", path)[0] == 200
    page, _ = opened(browser, s, color_scheme=scheme, bypass_csp=True)
    row(page, "app").locator("button.name").click()
    expect(page.locator("#total-plot svg").first).to_be_visible()
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (int(ground[4:].split(",")[0]) < 128) == (scheme == "dark"), ground

    page.get_by_label("URL").fill("http://example.test/")
    page.get_by_role("button", name="Explain").click()
    expect(page.locator("#decision")).to_contain_text("everything")
    expect(page.locator("#event-rows li").first).to_be_visible()

    def check() -> None:
        found = Axe().run(page).response["violations"]
        bad = [
            f"{one['id']}: {node['html'][:150]}"
            for one in found if one["impact"] in ("serious", "critical") for node in one["nodes"]
        ]  # fmt: skip
        assert not bad, "\n".join(bad)

    check()
    page.locator(".acts button").first.click()
    check()
    page.context.close()


def test_a_narrow_screen_needs_no_scrolling_sideways(browser: Browser, s: Scenario) -> None:
    page, seen = opened(browser, s, viewport={"width": 400, "height": 800})
    row(page, "app").locator("button.name").click()
    expect(page.locator("#total-plot svg").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    assert server(page, s.names["a"]).bounding_box()["height"] < 80
    page.get_by_label("URL").fill("http://example.test/x")
    page.get_by_role("button", name="Explain").click()
    expect(page.locator("#decision details")).to_be_visible()
    widths = page.locator("#decision dd").evaluate_all("all => all.map((one) => one.clientWidth)")
    assert min(widths) > 60, "letters stand one below the other"
    page.context.close()
    seen.check()


@pytest.mark.parametrize("width", [1020, 1200, 1280, 1440, 1920])
def test_listeners_and_routes_are_whole_on_a_laptop(browser: Browser, s: Scenario, width: int) -> None:
    page, seen = opened(browser, s, viewport={"width": width, "height": 800})
    expect(page.locator("#listeners tbody td")).not_to_have_count(0)
    expect(page.locator("#routes tbody tr")).to_have_count(2)
    for table in page.locator("#listeners .scroll, #routes .scroll").all():
        shown, whole = table.evaluate("one => [one.clientWidth, one.scrollWidth]")
        assert whole <= shown, "columns are hidden to the right"
    name = page.locator("#routes tbody th").first
    assert name.bounding_box()["height"] < 40, "a short name is broken in two"
    page.context.close()
    seen.check()


def test_a_server_that_dies_is_shown(page: Page, s: Scenario) -> None:
    row(page, "app").locator("button.name").click()
    expect(row(page, "app")).to_contain_text("2 up")
    s.servers["b"].stop_listening()
    expect(row(page, "app")).to_contain_text("1 down")
    expect(server(page, s.names["b"]).locator(".status")).to_contain_text("down")
    expect(page.locator("#event-rows")).to_contain_text(s.names["b"])


def test_failed_requests_are_shown(browser: Browser, s: Scenario) -> None:
    s.a.behaviour = s.b.behaviour = lambda x: x.respond(b"no", "500 No")
    assert s.get("/broken?a=%3Cscript%3E").status == 500
    s.a.reset()
    s.b.reset()
    eventually(lambda: "/broken" in s.lb.admin("GET", "/api/v1/requests?condition=failed")[1])
    page, seen = opened(browser, s)
    rows = page.locator("#failed-rows")
    expect(rows).to_contain_text("/broken?a=%3Cscript%3E")
    # What clients do wrong hides no failure of a server, however much it is.
    for _ in range(60):
        with s.client() as client:
            client.send(b"GET /wrong HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
            assert client.recv_response().status == 400
    eventually(lambda: "bad_request" in s.lb.admin("GET", "/api/v1/requests?condition=failed%3Dclient")[1])
    page.reload()
    expect(rows).to_contain_text("/broken?a=%3Cscript%3E")
    expect(rows).not_to_contain_text("bad_request")
    page.get_by_label("Because of").select_option("client")
    expect(rows).to_contain_text("bad_request")
    expect(rows).not_to_contain_text("/broken")
    seen.check()
    page.context.close()


def test_a_refused_stream_is_asked_for_again(browser: Browser, s: Scenario) -> None:
    page = browser.new_page()
    page.route("**/api/v1/live", lambda route: route.fulfill(status=503), times=1)
    page.goto(f"http://{s.names['admin']}/")
    expect(page.locator("#state")).to_have_text("lb does not answer; trying again")
    expect(page.locator("#state")).to_have_text("ready", timeout=8000)
    page.context.close()


def test_a_page_that_is_opened_while_lb_starts(browser: Browser, s: Scenario) -> None:
    status = {**s.lb.status(), "last_reload": None}
    page = browser.new_page()
    seen = Seen(page, f"http://{s.names['admin']}/")
    page.route("**/api/v1/status", lambda route: route.fulfill(json=status))
    page.goto(f"http://{s.names['admin']}/")
    expect(page.locator("#cluster-rows")).to_contain_text(status["version"])
    page.context.close()
    seen.check()


def test_a_drain_the_end_and_the_next_lb_are_shown(browser: Browser) -> None:
    config = 'listeners: [{name: web, bind: "$web"}]\nservices: {app: ["$a"]}\nroutes: {"/": app}\n'
    with Scenario(config, a=Origin(answer(OK)), quiet=True) as s:
        page, _ = opened(browser, s)
        expect(page.locator("#event-rows")).to_be_visible()
        expect(page.locator("#failed-rows")).to_have_text("None is kept.")
        s.a.take_over()
        client = s.client()
        client.send_request("GET", "/")
        asked = s.a.next_request()
        s.lb.signal(signal.SIGTERM)
        expect(page.locator("#state")).to_have_text("not ready")
        expect(page.locator("#cluster-rows dd.bad", has_text="lb is about to end")).to_be_visible()
        expect(page.locator("#event-rows")).to_contain_text("drain signal")
        asked.respond(b"done")
        assert client.recv_response().body == b"done"
        assert s.lb.wait() == 0
        expect(page.locator("#state")).to_have_text("lb does not answer; trying again")
        s.lb = Lb(s.file, s.names["admin"])
        expect(page.locator("#state")).to_have_text("ready", timeout=20_000)
        expect(page.locator("#event-rows li", has_text="drain signal")).to_have_count(
            0
        )  # its own events alone
        page.context.close()


def test_two_thousand_servers(browser: Browser, s: Scenario, capsys: pytest.CaptureFixture[str]) -> None:
    s.write(MANY)
    assert s.lb.admin("POST", "/api/v1/reload")[0] == 200
    began = time.monotonic()
    page, seen = opened(browser, s)
    expect(page.locator("#shown")).to_have_text("200 services")
    expect(row(page, "s0")).to_contain_text("10 up")
    first = time.monotonic() - began
    body = json.dumps({"mode": "drain", "author": "ann", "reason": "new disk"})
    began = time.monotonic()
    assert s.lb.admin("PUT", "/api/v1/services/s3/servers/127.3.0.4:9/override", body)[0] == 200
    expect(row(page, "s3")).to_contain_text("1 draining")
    change = time.monotonic() - began
    with capsys.disabled():
        print(f"\n200 services x 10 servers: first rows {first:.2f} s, a change {change:.2f} s")
    assert first < 8
    assert change < 4
    expect(row(page, "s199")).to_contain_text("10 up")  # below the screen: found by reading, and by searching
    page.wait_for_timeout(1000)
    seen.asked.clear()
    for number in range(1, 31):
        path = f"/api/v1/services/s5/servers/127.5.0.{number % 10 + 1}:9/override"
        assert (
            s.lb.admin("PUT", path, body.replace("drain", "maintenance" if number > 10 else "drain"))[0]
            == 200
        )
    expect(row(page, "s5")).to_contain_text("10 maintenance")
    asked = [url for url in seen.asked if url.endswith("/api/v1/status")]
    assert len(asked) < 20, "an event costs control a question"
    page.context.close()
    seen.check()


def test_the_cluster_and_a_rollout_are_shown(browser: Browser, tmp_path: Path) -> None:
    def node(name: str) -> Scenario:
        # a bind of the node's own, in a document that both share
        os.environ["LB_TEST_WEB"] = f"unix:{tmp_path}/{name}.sock"
        shared = 'listeners: [{name: web, bind: "${LB_TEST_WEB}"}]\nroutes: [{name: all, respond: {status: 204}}]\n'
        own = f"cluster: {{engine: local, name: front, node: {name}, ttl: 2s, local: {{folder: {tmp_path}}}}}"
        return Scenario(f'{shared}state_dir: "$dir/state"\n{own}\n', quiet=True)

    def push(s: Scenario, base: str, more: str = "") -> None:
        document = (
            'listeners: [{name: web, bind: "${LB_TEST_WEB}"}]\nroutes: [{name: all, respond: {status: %d}}]\n'
        )
        status, text = s.lb.admin(
            "POST", f"/api/v1/cluster/push?author=ann&message=first{more}", document % (204 + int(base)),
            {"If-Match": base, "Content-Type": "application/yaml"},
        )  # fmt: skip
        assert status == 200, text

    with node("one") as one, node("two"):
        eventually(lambda: '"leader"' in one.lb.admin("GET", "/api/v1/cluster")[1])
        push(one, "0")
        eventually(
            lambda: [node["revision"] for node in json.loads(one.lb.admin("GET", "/api/v1/cluster")[1])["nodes"]]
            == [1, 1], 30,
        )  # fmt: skip
        push(one, "1", "&first=two&watch=5m")
        page, seen = opened(browser, one)
        panel = page.locator("#cluster-rows")
        expect(panel).to_contain_text("Revision 2 is tried on two; the others run 1.")
        expect(panel).to_contain_text(re.compile("[0-9]+ of 300 s"))
        expect(panel).to_contain_text("one, epoch ")
        expect(panel.locator("table", has_text="Reported").locator("tbody tr")).to_have_count(2)
        facts = page.locator("#facts")
        expect(facts).not_to_contain_text("away")
        (tmp_path / "front").rename(tmp_path / "elsewhere")
        (tmp_path / "front").write_text("not a folder")
        expect(facts).to_contain_text(re.compile("engine away for [0-9.]+ s"), timeout=30_000)
        page.reload()
        expect(panel).to_contain_text(re.compile(r"local is away, its last word is [0-9.]+ s old"))
        expect(panel).to_contain_text("Revision 2 is tried on two")
        page.context.close()
        seen.check()
