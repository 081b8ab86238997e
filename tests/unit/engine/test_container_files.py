"""/etc/hosts and /etc/hostname of containers."""

from __future__ import annotations

import pytest

from proa.engine import container_files as files
from proa.errors import InvalidArgument

STANDARD = (
    "127.0.0.1\tlocalhost\n"
    "::1\tlocalhost ip6-localhost ip6-loopback\n"
    "fe00::\tip6-localnet\n"
    "ff00::\tip6-mcastprefix\n"
    "ff02::1\tip6-allnodes\n"
    "ff02::2\tip6-allrouters\n"
)


def test_hostname() -> None:
    assert files.hostname("web") == "web\n"


def test_hosts() -> None:
    assert files.hosts("web") == STANDARD
    assert files.hosts("web", addresses=["172.17.0.2"]) == STANDARD + "172.17.0.2\tweb\n"
    assert files.hosts("web", "example.org", ["172.17.0.2"]) == STANDARD + "172.17.0.2\tweb.example.org web\n"
    extra = ["db:10.0.0.1", "v6:fe80::1", "bracketed:[fe80::2]", "host.docker.internal:host-gateway"]
    assert files.hosts("web", "", ["172.17.0.2"], extra, "172.17.0.1") == STANDARD + (
        "10.0.0.1\tdb\nfe80::1\tv6\nfe80::2\tbracketed\n172.17.0.1\thost.docker.internal\n172.17.0.2\tweb\n"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("db", 'bad format for add-host: "db"'),
        (":1.2.3.4", 'bad format for add-host: ":1.2.3.4"'),
        ("a b:1.2.3.4", 'bad format for add-host: "a b:1.2.3.4"'),
        ("evil\n6.6.6.6\tbank:1.2.3.4", "bad format for add-host"),
        ("db:1.2.3", 'invalid IP address in add-host: "1.2.3"'),
        ("db:", 'invalid IP address in add-host: ""'),
        ("db:1.2.3.4\n6.6.6.6 bank", "invalid IP address in add-host"),
        ("db:host-gateway", "unable to derive the IP value for host-gateway"),
    ],
)
def test_what_is_no_extra_host(text: str, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        files.hosts("web", extra_hosts=[text])
    assert caught.value.message.startswith(message)
