# ruff: noqa: E501 - tables of messages read better unbroken
"""From text, files and folders to a Spec: what every key becomes, and all that is said about wrong ones."""

import time

import pytest

from lb.config import ConfigError, load, loads, read, sources
from lb.config.fields import Secret
from tests.config.conftest import BASE, problems_of, route, route_problems


def test_the_five_line_file():
    spec = loads(
        'listeners: [":8080"]\nservices:\n  app: ["127.0.0.1:9001", "127.0.0.1:9002"]\nroutes: {"/": app}\n'
    )
    (listener,), (only,) = spec.listeners, spec.routes
    assert (listener.name, listener.bind) == (":8080", ("0.0.0.0:8080",))
    assert (only.name, only.match.path_prefix, only.service) == ("/", ("/",), "app")
    assert [server.address for server in spec.services["app"].servers] == ["127.0.0.1:9001", "127.0.0.1:9002"]
    assert (spec.workers, spec.shutdown_grace, spec.admin.bind) == ("auto", 30.0, "127.0.0.1:9900")
    assert (spec.access_log.path, spec.access_log.format) == ("stdout", "json")
    assert spec.services["app"].algorithm.name == "round_robin"


def test_short_and_long_forms_are_equal():
    long = """
listeners: [{name: ":80", bind: [":80"]}]
services: {app: {algorithm: {name: first}, servers: [{address: "a:1", weight: 1}]}, b: {servers: [{address: "b:1"}]}}
routes: [{name: /x, match: {path_prefix: [/x]}, service: app}]
"""
    short = 'listeners: [":80"]\nservices: {app: {algorithm: first, servers: ["a:1"]}, b: ["b:1"]}\nroutes: {/x: app}\n'
    assert loads(long) == loads(short)
    assert loads('listeners: [{bind: ":80"}]') == loads('listeners: [":80"]')


def test_a_single_value_is_a_list_of_one():
    match = route("service: app, match: {host: A.example, method: GET, client_ip: 10.0.0.1, path: /a}").match
    assert (match.host, match.method, match.client_ip, match.path) == (
        ("a.example",),
        ("GET",),
        ("10.0.0.1/32",),
        ("/a",),
    )


def test_predicates_on_values():
    match = route(
        'service: app, match: {header: {X-A: "1", x-b: ["1", "2"]}, query: {Q: {regex: "^a"}}, cookie: {c: {present: false}}}'
    ).match
    assert match.header["x-a"].exact == ("1",)
    assert match.header["x-b"].exact == ("1", "2")
    assert match.query["Q"].regex == "^a"
    assert match.cookie["c"].present is False


def test_off_switches_off():
    spec = loads("admin: off\naccess_log: off\nlisteners: [':80']\n")
    assert spec.admin is None
    assert spec.access_log is None


def test_yaml_reads_on_as_a_key():
    assert route(
        "service: app, retry: {on: [connect, 502], attempts: 3, methods: [GET, PURGE]}"
    ).retry.on == ("connect", "502")


def test_values_from_the_environment_may_be_numbers():
    text = (
        'listeners: [":${PORT}"]\nworkers: ${N}\nservices: {app: [{address: "a:${PORT}", weight: "${N}"}]}\n'
    )
    spec = loads(text, "f", {"PORT": "81", "N": "3"})
    assert (spec.workers, spec.listeners[0].bind, spec.services["app"].servers[0].weight) == (
        3,
        ("0.0.0.0:81",),
        3,
    )


def test_a_secret_is_read_and_shown_nowhere(tmp_path):
    (tmp_path / "token").write_text("Bearer s3cret\n")
    found = route(f"service: app, request_headers: {{set: {{authorization: {{file: {tmp_path}/token}}}}}}")
    secret = found.request_headers.set["authorization"]
    assert isinstance(secret, Secret)
    assert secret.value.get_secret_value() == "Bearer s3cret"
    assert "s3cret" not in repr(found) + str(found.model_dump()) + found.model_dump_json()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot read the secret"),
        (b"\xff", "is not UTF-8 text"),
        (b"a\nb", "has line breaks or control characters"),
        (b"${path}", 'contains "${"'),
    ],
)
def test_secrets_that_cannot_be(tmp_path, content, message):
    if content is not None:
        (tmp_path / "token").write_bytes(content)
    (problem,) = route_problems(
        f"service: app, request_headers: {{set: {{x-a: {{file: {tmp_path}/token}}}}}}"
    )
    assert message in problem
    assert "\xff" not in problem


# Every message whole: a good error is the feature. The left side stands below BASE (lines 1 and 2).
WHOLE = {
    "rutes: {}": ['3:1: rutes: unknown key "rutes"; allowed: workers, shutdown_grace, state_dir, listeners, admin, access_log, decisions, '
                  'tracing, events, discovery, routes, services, cluster, tests (did you mean "routes"?)'],
    "workers: 0": ["3:10: workers: found 0; expected auto (one per core) or a number from 1 to 256"],
    "shutdown_grace: 30": ["3:17: shutdown_grace: found 30 without a unit; write a duration such as 250ms, 5s, 2m or 1h, "
                           "or 0 for none (did you mean 30s?)"],
    "admin: 9900": ["3:8: admin: found 9900; expected a mapping with the keys bind"],
    "admin: {bind: '0.0.0.0:8080'}": ["3:15: admin.bind: 0.0.0.0:8080 is bound by a listener already, in f:1"],
    "access_log: {format: combind}": ['3:22: access_log.format: found "combind"; expected json, common, combined or a template '
                                      'with ${fields} (did you mean "combined"?)'],
    "routes: {/: ap}": ['3:13: routes[/]: there is no service "ap"; there are: app (did you mean "app"?)'],
    "routes: {/: {service: app}}": ["3:13: routes[/]: found a mapping; expected the name of a service (the short form of "
                                    "routes is path: service; what needs more is written as a list: - name: …)"],
    "routes: {v1: app}": ['3:10: routes[v1]: found "v1"; a path begins with "/"'],
    "routes: [{name: a, servce: app}]": ['3:20: routes[a].servce: unknown key "servce"; allowed: name, match, priority, service, '
                                         "split, redirect, respond, rewrite, request_headers, response_headers, timeout, retry, "
                                         'mirror (did you mean "service"?)'],
    "routes: [{name: a}]": ["3:10: routes[a]: the route does nothing; it needs one of service, split, redirect, respond"],
    "routes: [{service: app}]": ['3:10: routes[0]: the key "name" is missing'],
    "routes: [{name: a, service: app}, {name: a, service: app}]": [
        '3:42: routes[a].name: the route "a" is defined twice: the first is in f:3'],
    "routes: [{name: a, service: app, match: {listener: web}}]": [
        '3:52: routes[a].match.listener: there is no listener "web"; there are: :8080'],
    "routes: [{name: a, service: }]": ["3:29: routes[a].service: found nothing; give it a value, or remove the key"],
    "routes: [{name: a, split: []}]": ["3:27: routes[a].split: found an empty list; expected [{service: NAME, weight: 1}, …]"],
    "routes: [{name: a, split: [{service: app, weight: 0}]}]": ["3:27: routes[a].split: all weights are 0; one needs to be above 0"],
    "routes: [{name: a, split: [{service: app, weight: 1}, {service: app, weight: 1}]}]": [
        '3:65: routes[a].split[1].service: found "app" twice; add the weights'],
    "tests: [{request: GET /, expect: {route: null}}]": [
        '3:19: tests[0].request: found "/"; expected a whole URL such as http://example.com/path'],
    "tests: [{request: GET http://a/, expect: {route: a}}]": ['3:50: tests[0].expect.route: there is no route "a"; no route is defined'],
}  # fmt: skip


@pytest.mark.parametrize("text", WHOLE)
def test_whole_messages(text):
    assert problems_of(BASE + text) == WHOLE[text]


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("service: app, redirect: {to: /}", ['.redirect: cannot stand beside "service"; a route has exactly one of']),
        ("match: {path: /a, path_prefix: /b}, service: app", ['.path_prefix: cannot stand beside "path"']),
        ("match: {header: {host: a}}, service: app", ['use the predicate "host" instead']),
        ("match: {header: {x-a: 1}}, service: app", ['(quote it: "1")']),
        ("match: {header: {x-a: {}}}, service: app", ["found an empty mapping; expected a value, or one of exact"]),
        ("match: {header: {x-a: {exact: a, regex: b}}}, service: app", ['.regex: cannot stand beside "exact"']),
        ('match: {header: {x-a: "1", X-A: "2"}}, service: app', ['"x-a" and "X-A" are one name']),
        ("match: {host: []}, service: app", ["found an empty list; write at least one value, or leave the key out"]),
        ("match: {path_regex: '('}, service: app", [".path_regex: found \"(\"; not a regular expression"]),
        ("respond: {status: 204, body: a}", [".body: an answer with the status 204 has no body"]),
        ("respond: {status: 99}", [".status: found 99; expected a whole number from 200 to 599"]),
        ("respond: {headers: {content-length: '1'}}", [".headers.content-length: found \"content-length\"; this header cannot"]),
        ("respond: {}, retry: {attempts: 1}", ['.retry: no effect beside "respond"']),
        ("redirect: {to: 'https://a/${pth}', status: 300}", ["(did you mean ${path}?)", "expected one of 301"]),
        ("redirect: {to: 'www.example.com'}", ['expected "https://…", or a path']),
        ("service: app, rewrite: {regex: a}", ['the key "to" is missing beside it']),
        ("service: app, rewrite: {to: a}", ['the key "regex" is missing beside it']),
        (r"service: app, rewrite: {regex: a, to: '\1'}", ["not a replacement for this regex: invalid group reference 1"]),
        ("service: app, rewrite: {regex: a, to: b, strip_prefix: /a}", ['.strip_prefix: cannot stand beside "regex"']),
        ("service: app, rewrite: {host: sever}", ['(did you mean "server"?)']),
        ("service: app, request_headers: {set: {x-a: a}, remove: [X-A]}", ['found "X-A" in "set" too']),
        ('service: app, request_headers: {set: {x-a: "a\\r\\nb: c"}}', ["has no line breaks"]),
        ("service: app, retry: {on: [conect]}", ['(did you mean "connect"?)']),
        ("service: app, retry: {methods: all}", ["expected idempotent or a list"]),
        ("service: app, timeout: {connect: 5}", [".timeout.connect: found 5 without a unit"]),
    ],
)  # fmt: skip
def test_routes_that_cannot_be(text, messages):
    problems = route_problems(text)
    assert len(problems) == len(messages)
    for problem, message in zip(problems, messages, strict=True):
        assert message in problem


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{algorithm: {name: round_robin, key: host}, servers: [a:1]}", '.key: "round_robin" does not use it'),
        ("{algorithm: {name: first, options: {a: 1}}, servers: [a:1]}", '.options: "first" has no options'),
        ("{algorithm: {name: consistent_hash, key: heder:x}, servers: [a:1]}", '(did you mean "header"?)'),
        ("{algorithm: {name: consistent_hash, key: 'header:'}, servers: [a:1]}", '"header:NAME"'),
        ("{algorithm: {name: consistent_hash, bounded_load: 0.5}, servers: [a:1]}", "expected a number from 1.05"),
        ("{algorithm: {name: consistent_hash, method: magelv}, servers: [a:1]}", '(did you mean "maglev"?)'),
        ("{servers: []}", "found an empty list; write at least one server"),
        ("[a:1, b:1, A:1]", "s[2]: a:1 is here twice (number 1 and 3); use weight"),
        ("{servers: [{address: a:1, weight: 0}]}", "all weights are 0"),
        ("{servers: [{addres: a:1}]}", '(did you mean "address"?)'),
        ("a:1", 'expected a list of servers: ["a:1"]'),
        ("", "found nothing; expected a mapping"),
        ("[9001]", '"127.0.0.1:9001"'),
        ("{server: [a:1]}", '(did you mean "servers"?)'),
    ],
)  # fmt: skip
def test_services_that_cannot_be(text, message):
    (problem,) = problems_of(f'listeners: [":1"]\nservices: {{s: {text}}}\n')
    assert message in problem


LATER = {
    "listeners: [{bind: ':1', tls: {certificates: []}}]": "listeners[0].tls",
    "listeners: [{bind: ':1', proxy_protocol: true}]": "listeners[0].proxy_protocol",
    "services: {s: {servers: [a:1], tls: {}}}": "services.s.tls",
}


@pytest.mark.parametrize("text", LATER)
def test_what_is_not_built_yet_is_refused(text):
    if "listeners" not in text:
        text = 'listeners: [":1"]\n' + text
    (problem,) = problems_of(text)
    path = LATER.get(text) or LATER[text.partition("\n")[2]]
    assert f": {path}: not supported yet: " in problem


@pytest.mark.parametrize(
    ("server", "more", "message"),
    [
        ("10.0.0.1:80", "", 's.servers[0].resolve: no effect: "10.0.0.1:80" is no name'),
        ("[fd00::1]:80", "", "no effect"),
        ("unix:/a", "", "no effect"),
        ("a.test:80", ", discover: {file: /x}", 's.servers[0].resolve: cannot stand beside "discover"'),
    ],
)
def test_what_cannot_be_resolved(server, more, message):
    (problem,) = problems_of(
        f'listeners: [":1"]\nservices: {{s: {{servers: [{{address: "{server}", resolve: 30s}}]{more}}}}}\n'
    )
    assert message in problem


def test_proxy_protocol_false_is_fine():
    assert loads("listeners: [{bind: ':1', proxy_protocol: false}]").listeners[0].proxy_protocol is False


def test_all_problems_are_reported_in_the_order_of_the_file():
    problems = problems_of(
        """
listeners: [{bind: ":80", limits: {idle_timeout: 5, max_boddy: 1}}, {name: b, bind: ":80"}]
workers: none
services: {a: ["x"], b: {servers: ["y:1"], algorithm: nope}}
routes:
  - {name: r, service: c, timeout: {total: 1d}, match: {path: a, path_regex: "("}}
  - {name: s, service: a}
"""
    )
    places = [problem.split(": ")[0] for problem in problems]
    assert places == ["2:50", "2:53", "2:85", "3:10", "4:16", "4:55", "6:24", "6:44", "6:63", "6:66", "6:78"]


def test_a_broken_service_is_still_there_for_routes():
    (problem,) = problems_of('listeners: [":1"]\nservices: {a: [x]}\nroutes: {/: a}\n')
    assert problem.startswith("2:16: services.a[0]")


def test_a_value_that_is_unreadable_is_reported_once():
    (problem,) = problems_of('listeners: [":1"]\nworkers: ${NO_SUCH_THING}\n')
    assert "is not set" in problem


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "nothing in it; a first file: listeners:"),
        ("# only a comment\n", "nothing in it"),
        ("- a\n", "1:1: found a list; expected a mapping with the keys listeners"),
        ("hello", '1:1: found "hello"'),
        ("routes: {}", "at least one listener is needed"),
        ("listeners: []", "1:12: listeners: at least one listener is needed"),
        ("listeners: [':80'", "not YAML"),
    ],
)
def test_hardly_a_configuration(text, message):
    assert message in problems_of(text)[0]


def test_listeners_bound_twice():
    assert problems_of("listeners: [':80', {name: b, bind: ['[::]:80', '0.0.0.0:80']}]") == [
        "1:48: listeners[b].bind[1]: 0.0.0.0:80 is bound twice: the first is in f:1"
    ]
    assert problems_of("listeners: ['127.0.0.1:9900']") == [
        "1:13: listeners[0]: 127.0.0.1:9900 is where the admin API answers; move it: admin: {bind: …}"
    ]
    loads("listeners: ['127.0.0.1:9900']\nadmin: off")
    loads("listeners: ['127.0.0.1:0', {name: b, bind: '127.0.0.1:0'}]\nadmin: {bind: '127.0.0.1:0'}")


# ------------------------------------------------------------------------------------- files, folders


def test_a_folder_is_merged_in_name_order(tmp_path):
    (tmp_path / "20.yaml").write_text("routes: {/b: b}\nservices: {b: ['b:1']}\n")
    (tmp_path / "10.yaml").write_text(
        "listeners: [':80']\nroutes: [{name: a, service: a}]\nservices: {a: ['a:1']}\n"
    )
    (tmp_path / "notes.txt").write_text("not: [yaml")
    (tmp_path / ".hidden.yaml").write_text("also: [not")
    (tmp_path / "empty.yaml").write_text("")
    assert [file.name for file in sources(tmp_path)] == ["10.yaml", "20.yaml", "empty.yaml"]
    spec = load(tmp_path)
    assert [found.name for found in spec.routes] == ["a", "/b"]
    assert list(spec.services) == ["a", "b"]


def test_what_is_defined_in_two_files_names_both(tmp_path):
    (tmp_path / "a.yaml").write_text(
        "listeners: [':80']\nworkers: 1\nservices: {s: ['a:1']}\nroutes: {/: s}\n"
    )
    (tmp_path / "b.yaml").write_text(
        "workers: 2\nservices:\n  s: ['b:1']\nroutes:\n  - {name: /, service: t}\n"
    )
    with pytest.raises(ConfigError) as caught:
        load(tmp_path)
    assert [str(problem).replace(f"{tmp_path}/", "") for problem in caught.value.problems] == [
        "b.yaml:1:1: workers: is in two files: the first is a.yaml:2",
        'b.yaml:3:3: services.s: the service "s" is defined twice: the first is in a.yaml:3',
        'b.yaml:5:12: routes[/].name: the route "/" is defined twice: the first is in a.yaml:4',
        'b.yaml:5:24: routes[/].service: there is no service "t"; there are: s',
    ]


def test_an_unreadable_file_does_not_make_the_others_wrong(tmp_path):
    (tmp_path / "a.yaml").write_text("listeners: [':80']\nroutes: {/: s}\nworkers: x\n")
    (tmp_path / "b.yaml").write_bytes(b"services:\n  s: ['\xff:1']\n")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path)
    assert [str(problem).replace(f"{tmp_path}/", "") for problem in caught.value.problems] == [
        'a.yaml:3:10: workers: found "x"; expected auto (one per core) or a number from 1 to 256',
        "b.yaml:2:8: not UTF-8 text; save the file as UTF-8",
    ]


def test_no_such_file(tmp_path):
    with pytest.raises(ConfigError, match="there is no such file or folder"):
        load(tmp_path / "nope.yaml")
    with pytest.raises(ConfigError, match=r"the folder has no \*\.yaml file"):
        load(tmp_path)


def test_five_thousand_routes_load_quickly(tmp_path):
    lines = ['listeners: [":80"]', "services: {app: ['a:1']}", "routes:"]
    for n in range(5000):
        lines.append(
            f"  - name: r{n}\n    match: {{host: h{n}.example.com, path_prefix: /a{n}, method: [GET, POST]}}"
        )
        lines.append("    service: app\n    timeout: {connect: 2s}")
    (tmp_path / "big.yaml").write_text("\n".join(lines))
    began = time.process_time()
    loaded = read(tmp_path / "big.yaml")
    assert len(loaded.spec.routes) == 5000
    assert time.process_time() - began < 5  # about 1 s; generous for a busy machine
