"""The section `cluster`."""

import pytest

from lb.config import ConfigError, loads
from lb.config.resolved import resolved

BASE = "listeners: [':1']\ncluster: "


def problem(text):
    with pytest.raises(ConfigError) as error:
        loads(BASE + text)
    (only,) = error.value.problems
    return str(only)


def test_absent_is_none_and_empty_is_local():
    assert loads("listeners: [':1']").cluster is None
    cluster = loads(BASE + "{}").cluster
    assert (cluster.engine, cluster.name, cluster.node, cluster.ttl) == ("local", "lb", None, 15.0)


def test_one_address_or_several():
    one = loads(BASE + "{engine: etcd, etcd: {endpoints: 'https://a:2379/'}}").cluster
    assert one.etcd.endpoints == ("https://a:2379",)
    several = loads(BASE + "{engine: zookeeper, zookeeper: {servers: ['a:1', '[::1]:2']}}").cluster
    assert several.zookeeper.servers == ("a:1", "[::1]:2")


def test_health_is_shared_by_two_where_it_is():
    assert loads(BASE + "{}").cluster.shared_health is None
    assert loads(BASE + "{shared_health: {}}").cluster.shared_health.by == 2
    assert loads(BASE + "{shared_health: {by: 5}}").cluster.shared_health.by == 5


@pytest.mark.parametrize(
    "text, words",
    [
        ("{shared_health: {by: 1}}", "2"),
        ("{shared_health: yes}", "shared_health"),
        ("{engine: consol}", 'did you mean "consul"?'),
        ("{name: 'a/b'}", "expected small letters"),
        ("{node: 'A b'}", "expected small letters"),
        ("{ttl: 1s}", "with local at least 2s"),
        ("{engine: consul, ttl: 5s}", "with consul at least 10s"),
        ("{engine: etcd, ttl: 2h}", "at most 1h"),
        ("{redis: {}}", "the engine is local"),
        ("{engine: redis, redis: {url: 'http://a'}}", "expected a URL such as redis://"),
        ("{engine: redis, redis: {password: abc}}", "found a secret in the open"),
        ("{engine: etcd, etcd: {endpoints: []}}", "at least one value"),
        ("{engine: zookeeper, zookeeper: {servers: 'a'}}", "expected host:port"),
        ("{engine: zookeeper, zookeeper: {servers: 'a:70000'}}", "expected host:port"),
        ("{engine: local, local: {folder: x}}", "is absolute"),
        ("{engine: etcd, etcd: {tls: {cert: /etc/hostname}}}", 'no effect without "key"'),
        ("{engine: consul, consul: {token: {env: LB_NOT_SET}}}", '"LB_NOT_SET" is not set'),
    ],
)
def test_what_cannot_be(text, words):
    assert words in problem(text)


@pytest.mark.parametrize("url", ["redis://u:geheim@a", "redis://:geheim@a:1", "redis://geheim@a"])
def test_a_password_in_a_url_is_refused_and_not_repeated(url):
    text = problem(f"{{engine: redis, redis: {{url: '{url}'}}}}")
    assert 'use the keys "user"' in text
    assert "geheim" not in text


def test_secrets_come_from_files_and_the_environment_and_are_not_shown(tmp_path, monkeypatch):
    (tmp_path / "token").write_text("geheim-1\n")
    monkeypatch.setenv("LB_TEST_SECRET", "geheim-2")
    for given, value in (
        (f"{{file: {tmp_path}/token}}", "geheim-1"),
        ("{env: LB_TEST_SECRET}", "geheim-2"),
    ):
        spec = loads(BASE + f"{{engine: consul, consul: {{token: {given}}}}}")
        assert spec.cluster.consul.token.value.get_secret_value() == value
        shown = resolved(spec)
        assert "geheim" not in shown + repr(spec)
        assert loads(shown) == spec
