# ruff: noqa: E501 - tables of messages read better unbroken
"""YAML with places: what is read, what is refused, and that no file can hurt."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lb.config.document import MAX_DEPTH, parse, scalar
from lb.config.environment import escaped, substitute


def read(text, **environment):
    return parse(text, "a.yaml", environment)


def only_problem(text, **environment):
    (problem,) = read(text, **environment).problems
    return str(problem)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12), ("-3", -3), ("1.5", 1.5), ("1e3", 1000.0), ("true", True), ("False", False),
        ("null", None), ("~", None), ("", None),
        # Text in YAML 1.2, and something else in 1.1
        ("on", "on"), ("yes", "yes"), ("off", "off"), ("1:30", "1:30"), ("0x10", "0x10"), ("1_000", "1_000"),
        ("2026-01-01", "2026-01-01"), ("10.0.0.1", "10.0.0.1"), ("-", "-"), (".", "."), ("+", "+"),
        ("1" * 30, "1" * 30),
    ],
)  # fmt: skip
def test_plain_scalars_are_those_of_yaml_1_2(text, value):
    assert scalar(text) == value
    assert type(scalar(text)) is type(value)


def test_quoted_scalars_are_text():
    assert read("a: '12'\nb: \"true\"\nc: |\n  12\n").data == {"a": "12", "b": "true", "c": "12\n"}


def test_keys_are_text_whatever_they_look_like():
    assert read("retry: {on: [502], 404: x, true: y}").data == {
        "retry": {"on": [502], "404": "x", "true": "y"}
    }


def test_places_of_keys_and_values():
    place = read("a: 1\nbc:\n  - x\n  - {d: y}\n").place
    assert place.keys == {"a": (1, 1), "bc": (2, 1)}
    inner = place.children["bc"].children[1]
    assert (inner.line, inner.column) == (4, 5)
    assert inner.keys == {"d": (4, 6)}
    assert (inner.children["d"].line, inner.children["d"].column) == (4, 9)


def test_a_duplicate_key_names_both_places_and_keeps_the_first():
    document = read("a:\n  x: 1\n  y: 2\n  x: {z: 3}\n")
    assert [str(p) for p in document.problems] == [
        'a.yaml:4:3: a: the key "x" is here twice; the first is on line 2'
    ]
    assert document.data == {"a": {"x": 1, "y": 2}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: !!python/object/apply:os.system ['true']", "1:4: a: the tag !!python/object/apply:os.system is not"),
        ("a: !!str 5", "the tag !!str is not allowed"),
        ("a: !mine {b: c}", "the tag !mine is not allowed"),
        ("a: &x 1\nb: {<<: *x}", 'merge keys ("<<") are not supported'),
        ("a: &x 1\nb: *y", "2:4: b: *y has no anchor before it; there are: &x"),
        ("a: &x [*x]", "*x has no anchor before it"),
        ("? [a]\n: b", "a key must be text"),
        ("a: &x 1\n*x : 2", "an alias (*x) cannot be a key"),
        ("a: 1\n---\nb: 2", "2:1: a second document (---)"),
        ("a:\n\tb: 1", "2:1: not YAML: a tab in the indentation; indent with spaces"),
        ("a: [1\nb: 2", "not YAML"),
        ("a: b: c", '1:5: not YAML: mapping values are not allowed in this context; quote a value that contains ": "'),
        ("a: @x", "1:4: not YAML: found character that cannot start any token; quote the value"),
        ("a: \x00", "not YAML"),
    ],
)  # fmt: skip
def test_what_is_refused(text, message):
    assert message in only_problem(text)


def test_nesting_is_bounded_and_cannot_overflow_the_stack():
    assert f"nested more than {MAX_DEPTH} deep" in only_problem("[" * 200_000 + "]" * 200_000)


def test_aliases_are_the_value_again():
    assert read("a: &x {b: [1]}\nc: *x\n").data == {"a": {"b": [1]}, "c": {"b": [1]}}


def test_aliases_that_multiply_are_stopped():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert "aliases multiply to more than" in only_problem("\n".join(lines))


def test_environment():
    text = "a: ${HOST}:80\nb: ${PORT:-8080}\nc: '${NONE:-}'\nd: $${HOST}\ne: ${path}\nf: {g: '${PORT}'}"
    data = read(text, HOST="example", PORT="9").data
    assert data == {"a": "example:80", "b": "9", "c": "", "d": "${HOST}", "e": "${path}", "f": {"g": "9"}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "a: ${NO_SUCH}",
            "the environment variable NO_SUCH is not set; set it, or write a default: ${NO_SUCH:-…}",
        ),
        ("a: ${NO_SUCH", '"${NO_SUCH" is not closed'),
        ("a: ${NO-SUCH}", '"${NO-SUCH}" is not a reference'),
    ],
)
def test_environment_problems(text, message):
    assert message in only_problem(text)


@given(st.text(alphabet="$${}AB:-_a ", max_size=12))
@example("${A${A")
@example("$${A}${A")
def test_escaped_text_is_given_back(text):
    assert substitute(escaped(text), {}) == text


@given(st.text(alphabet="a:-[]{}&*!|>#'\"%@` \n\t?,0\\\x00é", max_size=60))
def test_no_text_raises(text):
    read(text)
