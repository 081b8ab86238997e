"""`commit` and `diff`: what changed in a container becomes a layer."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from rig.clients import Client
from rig.engine import Engine

BUSYBOX = "busybox"
# What is done to a container, and how `diff` shows it.
CHANGES = {
    "added": ("echo x >/new", ["A /new"]),
    "added-deep": ("mkdir -p /a/b && echo x >/a/b/c", ["A /a", "A /a/b", "A /a/b/c"]),
    "changed": ("echo more >>/etc/passwd", ["C /etc", "C /etc/passwd"]),
    "deleted": ("rm /etc/shadow", ["C /etc", "D /etc/shadow"]),
    "deleted-directory": ("rm -r /var/www", ["C /var", "D /var/www"]),
    "mode": ("chmod 600 /etc/group", ["C /etc", "C /etc/group"]),
    "owner": ("chown 12:34 /home", ["C /home"]),
    "link": ("ln -s /etc /link", ["A /link"]),
    "device": ("mknod /null c 1 3", ["A /null"]),
    "fifo": ("mkfifo /pipe", ["A /pipe"]),
}


@pytest.fixture(autouse=True)
def images_of_the_test(engine: Engine) -> Iterator[None]:
    yield
    engine.api.remove_everything()
    for image in engine.api.get("/images/json").json:
        for name in image["RepoTags"]:
            if name.startswith("mine"):
                engine.api.delete(f"/images/{name}", force=1)


@pytest.mark.parametrize("change", CHANGES)
def test_diff(client: Client, change: str) -> None:
    script, expected = CHANGES[change]
    client.ok("run", "--name", "changer", BUSYBOX, "sh", "-c", script)
    assert client.ok("diff", "changer").splitlines() == expected


def test_nothing_changed(client: Client) -> None:
    client.ok("run", "--name", "idle", BUSYBOX, "true")
    assert client.ok("diff", "idle") == ""


SCRIPT = """
mkdir -p /tree/sub /replaced; echo one >/tree/one; echo two >/tree/sub/two; chown -R 12:34 /tree/sub
ln /tree/one /tree/hard; ln -s one /tree/soft; mkfifo /tree/pipe; mknod /tree/null c 1 3
rm -r /var/www; rm /etc/shadow; chmod 700 /home; rm -r /usr/sbin; echo file >/usr/sbin
rm -r /root; mkdir /root; echo fresh >/root/new; touch -d '2001-02-03 04:05:06' /tree/one
mkdir -p /tree/set; chmod 2750 /tree/set; echo suid >/tree/suid; chmod 4755 /tree/suid
"""
LOOK = """
cd /; find tree root usr/sbin var home etc -exec stat -c '%n %F %u:%g %a %h' {} \\; |
    grep -v '^etc/\\(hosts\\|hostname\\|resolv.conf\\|mtab\\)' | sort
readlink /tree/soft; cat /tree/hard /usr/sbin /root/new; stat -c %Y /tree/one; ls -A /var
"""


@pytest.mark.cgroup2
def test_the_new_image_has_the_same_files(client: Client) -> None:
    client.ok("run", "--name", "changer", BUSYBOX, "sh", "-c", SCRIPT + LOOK)
    before = client.ok("logs", "changer")
    identifier = client.ok("commit", "changer", "mine:1").strip()
    assert client.inspect("mine:1", "{{.Id}}") == identifier
    assert client.ok("run", "--rm", "mine:1", "sh", "-c", LOOK) == before
    assert before.count("\n") > 20


def test_layers_upon_layers(client: Client) -> None:
    client.ok("run", "--name", "first", BUSYBOX, "sh", "-c", "mkdir /d; echo 1 >/d/one; echo 2 >/d/two")
    client.ok("commit", "first", "mine:1")
    client.ok("run", "--name", "second", "mine:1", "sh", "-c", "rm /d/one; rm -r /d; mkdir /d; echo 3 >/d/three")
    client.ok("commit", "second", "mine:2")
    assert client.ok("run", "--rm", "mine:2", "ls", "/d") == "three\n"
    assert client.ok("run", "--rm", "mine:1", "ls", "/d") == "one\ntwo\n"
    first, second = (json.loads(client.inspect(name, "{{json .RootFS.Layers}}")) for name in ("mine:1", "mine:2"))
    assert second[:2] == first and len(second) == 3
    assert client.ok("diff", "second").splitlines()[0] == "C /d"


PERL = 'my ($path, $name) = ("/probe", "security.capability"); '
SET = 'system("cp /usr/bin/id /probe"); my $v = pack("V5", 0x02000001, 0x2000, 0, 0, 0); '
SET += "syscall(188, $path, $name, $v, 20, 0) == 0 or die $!"  # setxattr(2) of x86-64
GET = 'my $v = "x" x 64; my $n = syscall(191, $path, $name, $v, 64); print unpack("H*", substr($v, 0, $n))'


def test_extended_attributes(client: Client, ubuntu_image: object) -> None:
    """`security.capability`, as many images have it on ping. The minimal system has no setcap, but perl."""
    client.ok("run", "--name", "capable", "ubuntu", "perl", "-e", PERL + SET)
    client.ok("commit", "capable", "mine:1")
    assert client.ok("run", "--rm", "mine:1", "perl", "-e", PERL + GET) == "0100000200200000" + "00" * 12


def test_configuration(client: Client) -> None:
    client.ok("run", "--name", "changer", "-e", "ASKED=1", "-l", "asked=1", BUSYBOX, "true")
    changes = ["ENV ADDED=2", 'CMD ["echo", "by default"]', "WORKDIR /srv", "LABEL k=v", "EXPOSE 80", "USER 12",
               "VOLUME /vol", 'ENTRYPOINT ["env"]', "STOPSIGNAL SIGUSR1"]  # fmt: skip
    options = [word for change in changes for word in ("-c", change)]
    client.ok("commit", "-m", "the message", "-a", "The Author", *options, "changer", "mine:1")
    seen = json.loads(client.inspect("mine:1"))
    config = seen["Config"]
    assert {"ASKED=1", "ADDED=2"} <= set(config["Env"])
    assert (config["Cmd"], config["Entrypoint"], config["WorkingDir"], config["User"]) == (
        ["echo", "by default"], ["env"], "/srv", "12",
    )  # fmt: skip
    assert config["Labels"] == {"asked": "1", "k": "v"}
    assert (config["ExposedPorts"], config["Volumes"], config["StopSignal"]) == (
        {"80/tcp": {}},
        {"/vol": {}},
        "SIGUSR1",
    )
    assert (seen["Author"], seen["Comment"]) == ("The Author", "the message")
    client.fails(
        "commit", "-c", "RUN true", "changer", "mine:2", code=1, match="(?i)run is not a valid change command"
    )


def test_history_grows(client: Client) -> None:
    client.ok("run", "--name", "changer", BUSYBOX, "sh", "-c", "echo x >/new")
    client.ok("commit", "-m", "the message", "changer", "mine:1")
    lines = client.ok("history", "--no-trunc", "--format", "{{.CreatedBy}}|{{.Comment}}", "mine:1").splitlines()
    assert lines == ["sh -c echo x >/new|the message", "BusyBox from the distribution's package|"]


def test_of_a_running_container(client: Client) -> None:
    name = client.detached(BUSYBOX, "sh", "-c", "echo x >/new; sleep 1000")
    client.ok("exec", name, "true")
    client.ok("commit", name, "mine:paused")
    client.ok("commit", "--pause=false", name, "mine:going")
    assert client.inspect(name, "{{.State.Status}}") == "running"
    assert client.ok("run", "--rm", "mine:going", "cat", "/new") == "x\n"


def test_volumes_are_not_part_of_it(client: Client) -> None:
    client.ok(
        "run",
        "--name",
        "changer",
        "-v",
        "/vol",
        "--tmpfs",
        "/t",
        BUSYBOX,
        "sh",
        "-c",
        "echo x >/vol/f; echo x >/t/f",
    )
    client.ok("commit", "changer", "mine:1")
    assert client.ok("run", "--rm", "mine:1", "sh", "-c", "ls -A /vol /t").split() == ["/t:", "/vol:"]


def test_without_a_name(client: Client) -> None:
    client.ok("run", "--name", "changer", BUSYBOX, "touch", "/new")
    identifier = client.ok("commit", "changer").strip()
    assert client.ok("run", "--rm", identifier, "ls", "/new") == "/new\n"
    client.ok("rm", "changer")
    client.ok("rmi", identifier)


def test_unknown(client: Client) -> None:
    client.fails("commit", "nobody", "mine:1", code=1, match="No such container: nobody")
    client.fails("diff", "nobody", code=1, match="No such container: nobody")
