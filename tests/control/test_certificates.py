"""When the certificates end that the configuration names, as openssl says it too."""

from __future__ import annotations

import os
import ssl
import subprocess
from datetime import UTC, datetime

import pytest
import yaml

from lb.config import load
from lb.control.certificates import Certificates
from lb.control.x509 import ends_of

MINIMAL = {"listeners": [":0"], "services": {"app": ["127.0.0.1:1"]}, "routes": {"/": "app"}}


def openssl(*words):
    ran = subprocess.run(
        ["openssl", *map(str, words)], check=True, capture_output=True, text=True, timeout=30
    )
    return ran.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """own.pem with own.key ends in 2 days, late.pem after 2050: its time has another form."""
    folder = tmp_path_factory.mktemp("certificates")
    for name, days in (("own", 2), ("late", 36_500)):
        openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-days", days, "-subj", f"/CN={name}",
            "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem",
        )  # fmt: skip
    return folder


def end(file):
    said = openssl("x509", "-noout", "-enddate", "-in", file).strip().removeprefix("notAfter=")
    return datetime.strptime(said, "%b %d %H:%M:%S %Y GMT").replace(tzinfo=UTC).timestamp()


def spec(folder, **discovery):
    file = folder / "lb.yaml"
    file.write_text(yaml.safe_dump({**MINIMAL, "discovery": {"consul": discovery}}))
    return load(file)


def test_both_forms_of_time_and_several_in_one_file(folder):
    both = (folder / "own.pem").read_bytes() + b"\n" + (folder / "late.pem").read_bytes()
    assert ends_of(both) == [end(folder / "own.pem"), end(folder / "late.pem")]
    assert ends_of(b"") == []


def test_every_cut_and_every_broken_byte_is_a_value_error_or_a_time(folder):
    der = ssl.PEM_cert_to_DER_cert((folder / "own.pem").read_text())
    for at in range(len(der)):
        for data in (der[:at], der[:at] + bytes([der[at] ^ 0x80]) + der[at + 1 :]):
            try:
                found = ends_of(ssl.DER_cert_to_PEM_cert(data).encode())
            except ValueError:
                continue
            assert all(isinstance(one, float) for one in found)
    with pytest.raises(ValueError, match="ends too early"):
        ends_of(ssl.DER_cert_to_PEM_cert(der[:40]).encode())


def test_of_the_own_chain_the_first_end_counts_and_of_what_is_trusted_the_last(folder, tmp_path):
    both = tmp_path / "both.pem"
    both.write_bytes((folder / "late.pem").read_bytes() + (folder / "own.pem").read_bytes())
    tls = {"cert": str(both), "key": str(folder / "late.key"), "ca": str(both)}
    assert Certificates().ends(spec(tmp_path, address="https://127.0.0.1:8501", tls=tls)) == {
        ("discovery.consul.tls.cert", str(both)): end(folder / "own.pem"),
        ("discovery.consul.tls.ca", str(both)): end(folder / "late.pem"),
    }


def test_the_engine_of_the_cluster_and_the_checks(folder, tmp_path):
    ca = str(folder / "own.pem")
    given = {
        **MINIMAL,
        "services": {"app": {"servers": ["127.0.0.1:1"], "health_check": {"tcp": True, "tls": {"ca": ca}}}},
        "cluster": {"engine": "etcd", "etcd": {"endpoints": "https://127.0.0.1:1", "tls": {"ca": ca}}},
    }
    file = tmp_path / "lb.yaml"
    file.write_text(yaml.safe_dump(given))
    found = Certificates().ends(load(file))
    assert [key for key, _ in found] == ["cluster.etcd.tls.ca", "services.app.health_check.tls.ca"]


def test_a_file_is_read_again_when_it_changes_and_left_out_while_it_is_away(folder, tmp_path):
    ca = tmp_path / "ca.pem"
    ca.write_bytes((folder / "own.pem").read_bytes())
    named, certificates = (
        spec(tmp_path, address="https://127.0.0.1:8501", tls={"ca": str(ca)}),
        Certificates(),
    )
    place = ("discovery.consul.tls.ca", str(ca))
    assert certificates.ends(named) == {place: end(folder / "own.pem")}
    fresh = tmp_path / "fresh.pem"
    fresh.write_bytes((folder / "late.pem").read_bytes())
    os.replace(fresh, ca)
    assert certificates.ends(named) == {place: end(folder / "late.pem")}
    ca.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    assert certificates.ends(named) == {}
    ca.unlink()
    assert certificates.ends(named) == {}
