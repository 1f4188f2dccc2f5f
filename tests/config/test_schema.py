# ruff: noqa: E501 - tables of messages read better unbroken
"""The JSON Schema: valid itself, accepts what lb accepts, and refuses what it can see is wrong."""

import json
from pathlib import Path

import jsonschema
import pytest

from lb.config import json_schema, load, resolved
from lb.config.document import parse
from lb.config.schema import sections

EXAMPLES = sorted((Path(__file__).parents[2] / "config").glob("*.yaml"))
SCHEMA = json_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


class Raw(dict):
    """An environment in which every reference stays as it is written."""

    def __contains__(self, name):
        return True

    def __missing__(self, name):
        return f"${{{name}}}"


def raw(text):
    document = parse(text, "f", Raw())
    assert document.problems == []
    return json.loads(json.dumps(document.data))


def test_it_is_a_schema_and_plain_json():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_and_their_resolved_forms_are_valid(path):
    VALIDATOR.validate(raw(path.read_text()))
    VALIDATOR.validate(raw(resolved(load(path, {}))))


@pytest.mark.parametrize(
    "text",
    [
        "listeners: [':80']\nworkers: ${N}\nshutdown_grace: ${GRACE}",
        "listeners: [{bind: ':80', proxy_status: '${STATUS}', limits: {max_body: '${SIZE:-0}'}}]",
        "listeners: [':80']\nroutes: {/: a}\nservices: {a: ['a:1'], b: {servers: ['a:1'], algorithm: 'my.own:Class'}}",
        "listeners: [':80']\nadmin: off\naccess_log: off",
        "listeners: [':80']\nservices: {a: {servers: ['a:1'], sticky: name, adaptive_concurrency: true, health_check: {tcp: true, tls: true}}}",
        "listeners: [':80']\nservices: {a: {servers: ['a:1'], health_check: {http: /, expect: {status: 204}, jitter: 0}, panic_threshold: '${P}'}}",
    ],
)
def test_valid(text):
    VALIDATOR.validate(raw(text))


@pytest.mark.parametrize(
    "text",
    [
        "{}", "listeners: ':80'", "listners: [':80']", "listeners: [':80']\nworkers: many",
        "listeners: [':80']\nshutdown_grace: 30", "listeners: [{bind: ':80', tls: {}}]",
        "listeners: [{name: a}]", "listeners: [':80']\nservices: {a: {}}",
        "listeners: [':80']\nservices: {a: {servers: ['a:1'], algorithm: leastconn}}",
        "listeners: [':80']\nservices: {a: {servers: [{address: 'a:1', weight: -1}]}}",
        "listeners: [':80']\nroutes: [{service: a}]", "listeners: [':80']\nroutes: [{name: a, retry: {on: [200]}}]",
        "listeners: [':80']\nroutes: [{name: a, redirect: {to: /, status: 200}}]",
        "listeners: [':80']\nroutes: [{name: a, match: {path: a}}]", "listeners: [':80']\nroutes: [{name: a, service: null}]",
        "listeners: [':80']\ncluster: {engine: paxos}",
        "listeners: [':80']\nservices: {a: {servers: ['a:1'], health_check: {http: /, expect: {status: 99}}}}",
        "listeners: [':80']\nservices: {a: {servers: ['a:1'], health_check: {tcp: false}}}",
        "listeners: [':80']\nservices: {a: {servers: ['a:1'], outlier: {latency: on}}}",
        "listeners: [':80']\nservices: {a: {servers: ['a:1'], panic_threshold: 0.5}}",
        "listeners: [':80']\nservices: {a: {servers: ['a:1'], sticky: {}}}",
        "listeners: [':80']\nroutes: [{name: a, service: a, mirror: {share: 5%}}]",
    ],
)  # fmt: skip
def test_invalid(text):
    assert list(VALIDATOR.iter_errors(raw(text)))


def test_defaults_are_written_as_in_the_file():
    timeout = SCHEMA["$defs"]["TimeoutSpec"]["properties"]
    assert [timeout[name]["default"] for name in ("connect", "attempt", "response", "total", "idle")] == [
        "2s",
        0,
        "30s",
        0,
        "1m",
    ]
    assert SCHEMA["$defs"]["LimitsSpec"]["properties"]["max_header_bytes"]["default"] == "32KiB"
    assert SCHEMA["$defs"]["RetrySpec"]["properties"]["methods"]["default"] == "idempotent"


def test_every_key_says_what_it_means():
    for model in sections():
        assert model.__doc__, model
        for name, field in model.model_fields.items():
            assert field.description or name == "expect", f"{model.__name__}.{name}"
