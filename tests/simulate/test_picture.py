"""Numbers over time, and the picture of them."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from lb.simulate.figures import Over, over_time, percentile
from lb.simulate.load import drawn
from lb.simulate.picture import COLOURS, GREY, WIDTH, Panel, picture
from lb.simulate.replay import Run, Served
from tests.simulate.making import run, tell

SVG = "{http://www.w3.org/2000/svg}"


def test_percentiles_are_of_what_was_measured():
    assert [percentile([1.0, 2.0, 3.0, 4.0], share) for share in (0.0, 0.5, 0.75, 0.99)] == [
        1.0,
        2.0,
        3.0,
        4.0,
    ]
    assert percentile([], 0.5) is None


def test_in_flight_and_p99_by_bucket():
    served = Served("a:1")
    for began, done, answered in ((0.0, 1.0, True), (0.5, 2.5, True), (3.5, 9.0, False)):
        served.began.append(began)
        served.done.append(done)
        served.answered.append(answered)
    (over,) = over_time(Run("x", [served]), 4.0, 4)
    assert over.in_flight == pytest.approx([1.5, 1.0, 0.5, 0.5])
    assert over.p99 == [2.0, None, None, None]


def test_the_buckets_together_are_the_mean():
    load = drawn(200, 5, 0.01, seed=1)
    found = over_time(run(load, "ewma"), load.seconds_long, 20)
    for server, over in zip(tell(load, "ewma").servers, found, strict=True):
        assert sum(over.in_flight) / 20 == pytest.approx(server.in_flight)


def test_the_picture_has_a_panel_an_algorithm_and_two_lines_a_server():
    many = [Over(f"<{at}>:1", [0.0, 1.0, 200.0], [None, 0.01, 3.0]) for at in range(8)]
    text = picture("a & b", [Panel("ewma", many), Panel("x:<Y>", many)], 30.0)
    root = ET.fromstring(text)
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert {"ewma", "x:<Y>", "<0>:1", "2 others", "a & b: the same requests, by algorithm"} <= set(texts)
    assert {"1 s", "10 ms", "1,000", "30 s"} <= set(texts)
    strokes = [element.get("stroke") for element in root.iter(f"{SVG}path")]
    assert strokes.count(COLOURS[0]) == 4 and strokes.count(GREY) == 8
    assert "NaN" not in text and "http" not in text.replace("http://www.w3.org/2000/svg", "")


def texts_of(text):
    return [element.text or "" for element in ET.fromstring(text).iter(f"{SVG}text")]


@pytest.mark.parametrize(
    ("seconds", "ticks"),
    [
        (11.98, ["0 s", "2 s", "4 s", "6 s", "8 s", "10 s"]),
        (30.0, ["0 s", "5 s", "10 s", "15 s", "20 s", "25 s", "30 s"]),
        (0.001, ["0 s", "0.0002 s", "0.0004 s", "0.0006 s", "0.0008 s", "0.001 s"]),
        (86_400.0, ["0 s", "20,000 s", "40,000 s", "60,000 s", "80,000 s"]),
    ],
)
def test_times_are_round(seconds, ticks):
    texts = texts_of(picture("s", [Panel("x", [Over("a:1", [1.0], [0.1])])], seconds))
    assert [text for text in texts if re.fullmatch(r"[0-9,.]+ s", text)] == [*ticks, "1 s", *ticks]


def test_what_is_below_the_scale_is_not_told_as_its_least():
    assert "≤ 0.1" in texts_of(picture("s", [Panel("x", [Over("a:1", [0.5, 0.0], [0.1, None])])], 1.0))
    assert "0.1" in texts_of(picture("s", [Panel("x", [Over("a:1", [0.5, 0.1], [0.1, 0.1])])], 1.0))


def test_a_panel_says_how_it_ends_and_the_key_what_is_simulated_of_a_server():
    panel = Panel("x", [Over("a:1", [1.0], [0.1]), Over("b:1", [1.0], [0.1])], "41.69% failed")
    texts = texts_of(picture("s", [panel], 1.0, {"b:1": "takes 5 times as long"}))
    assert {"a:1", "b:1 takes 5 times as long", "41.69% failed"} <= set(texts)


def test_long_names_stay_in_the_picture():
    many = [Over(f"2001:db8:1111:2222:3333:4444:5555:{at}:8080", [1.0], [0.1]) for at in range(7)]
    root = ET.fromstring(picture("s", [Panel("ewma", many)], 1.0))
    key = [one for one in root.iter(f"{SVG}text") if "2001" in (one.text or "") or one.text == "1 others"]
    assert len(key) == 7
    assert all(float(one.get("x")) + 7 * len(one.text) <= WIDTH for one in key)
    (title,) = [one for one in root.iter(f"{SVG}text") if one.text == "ewma"]
    assert float(title.get("y")) > max(float(one.get("y")) for one in key) + 14
    assert float(root.get("height")) >= max(float(one.get("y")) for one in root.iter(f"{SVG}text"))


def test_a_gap_where_nothing_was_answered_and_nothing_at_all():
    broken = Over("a:1", [1.0] * 4, [0.1, 0.1, None, 0.1])
    paths = [p.get("d") for p in ET.fromstring(picture("s", [Panel("x", [broken])], 1.0)).iter(f"{SVG}path")]
    assert sum(path.count("M") == 2 for path in paths) == 1
    ET.fromstring(picture("s", [Panel("x", [Over("a:1", [0.0], [None])])], 1.0))
