"""`discover: {dns: …}`: what is taken, and what is refused."""

import pytest

from lb.config import ConfigError, loads
from lb.config.discovery import DiscoverySpec
from lb.control.providers import Providers, described
from lb.discovery.dns import DnsProvider, DnsQuery

CONFIG = 'listeners: [":1"]\nservices: {app: {discover: {dns: %s}}}\nroutes: {"/": app}\n'


def discover(text):
    return loads(CONFIG % text).services["app"].discover


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("{name: API.internal., port: 80}", DnsQuery("api.internal", "address", 80)),
        ("{name: _http._tcp.a, records: srv}", DnsQuery("_http._tcp.a", "srv", 0)),
        ("{name: a, port: 1, records: aaaa, servers: ['[::1]:5353', 10.0.0.2]}",
         DnsQuery("a", "aaaa", 1, (("::1", 5353), ("10.0.0.2", 53)))),
    ],
)  # fmt: skip
def test_settings_of_the_provider(text, query):
    found = discover(text)
    assert found.dns.query() == query
    assert isinstance(Providers().make(found, DiscoverySpec()), DnsProvider)
    assert described(found) == f"dns {query.name} ({query.records})"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{name: a}", "the port is missing"),
        ("{name: a, records: srv, port: 1}", "srv records have the ports"),
        ("{name: 'a b', port: 1}", "expected a whole DNS name"),
        ("{name: -a, port: 1}", "expected a whole DNS name"),
        ("{name: a, port: 1, servers: [ns.internal]}", "expected an IP address"),
        ("{name: a, port: 1, servers: ['10.0.0.1:0']}", "expected an IP address"),
        ("{name: a, port: 1, servers: ['10.0.0.300']}", "expected an IP address"),
        ("{name: a, port: 1, records: txt}", "records"),
    ],
)
def test_what_cannot_be_meant_is_said(text, words):
    with pytest.raises(ConfigError) as error:
        discover(text)
    (only,) = error.value.problems
    assert words in str(only)
