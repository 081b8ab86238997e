"""Which proxy is asked for which server."""

from __future__ import annotations

import pytest

from proa.errors import InvalidArgument
from proa.oci.platform import Platform
from proa.oci.reference import Reference
from proa.registry import Proxies, Registry
from rig.forward_proxy import ForwardProxy
from rig.images import Image
from rig.registry import Registry as RealRegistry

EXCEPTIONS = (
    "10.0.0.0/8, 192.0.2.7,below.example,.only.example, *.star.example,port.example:5000,[2001:db8::1]:443"
)

# What stands in a reference, and whether the proxy is asked.
HOSTS = {
    "reg.example": True,
    "localhost": False,
    "127.0.0.2": False,
    "::1": False,
    "10.1.2.3": False,
    "11.1.2.3": True,
    "192.0.2.7": False,
    "192.0.2.8": True,
    "below.example": False,
    "a.below.example": False,
    "notbelow.example": True,
    "only.example": True,
    "a.only.example": False,
    "star.example": True,
    "a.b.star.example": False,
    "PORT.example:5000": False,
    "port.example:5001": True,
    "2001:db8::1": False,
    "2001:db8::2": True,
}


@pytest.mark.parametrize("host", HOSTS)
def test_exceptions(host: str) -> None:
    proxies = Proxies.of_environment({"https_proxy": "proxy.example:3128", "no_proxy": EXCEPTIONS})
    name, port = (host, 0) if host.count(":") != 1 else (host.split(":")[0], int(host.split(":")[1]))
    assert proxies.of("https", name, port) == ("http://proxy.example:3128" if HOSTS[host] else "")
    assert proxies.of("http", name, port) == ""


def test_where_the_settings_come_from() -> None:
    environment = {"HTTP_PROXY": "http://upper", "http_proxy": "http://lower", "NO_PROXY": "*"}
    assert Proxies.of_environment(environment).of("http", "reg.example", 80) == ""
    given = Proxies.of_environment(environment, exceptions="other.example")
    assert given.of("http", "reg.example", 80) == "http://upper"
    secret = Proxies.of_environment({"http_proxy": "http://user:secret@proxy"})
    assert secret.of("http", "reg.example", 80) == "http://user:secret@proxy"
    assert "secret" not in repr(secret)


@pytest.mark.parametrize("url", ["socks5://proxy", "http://", "http://x:y", "ftp://x"])
def test_bad_proxies(url: str) -> None:
    with pytest.raises(InvalidArgument, match=r"^invalid HTTPS proxy: "):
        Proxies.of_environment({"HTTPS_PROXY": url})


async def test_a_pull_through_a_proxy(origin: RealRegistry, image: Image) -> None:
    with ForwardProxy(origin.address) as proxy:
        proxies = Proxies.of_environment({"HTTP_PROXY": f"http://me:pass@{proxy.address}"})
        client = Registry(insecure=["reg.example"], proxies=proxies)
        resolved = await client.repository(Reference.parse("reg.example/team/app")).resolve(
            Platform("linux", "amd64")
        )
        await client.close()
    assert resolved.digest == image.digest
    assert proxy.asked == ["GET http://reg.example/v2/team/app/manifests/latest HTTP/1.1"]
    assert proxy.proofs == ["Proxy-Authorization: Basic bWU6cGFzcw=="]
