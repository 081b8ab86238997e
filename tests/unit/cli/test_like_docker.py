"""The same words to docker's command line and to proa's, before one engine: the same output and exit code."""
# ruff: noqa: E501

from __future__ import annotations

import base64
import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from rig.clients import docker_version, find
from rig.needs import need
from rig.recorder import Recorder

from .answers import answer
from .conftest import Outcome, Proa

SAME = """
ps
ps -a --no-trunc
ps -as
ps -q
ps --format json
ps --format '{{json .}}'
ps --format '{{.ID}}|{{.Names}}|{{.Image}}|{{.Command}}|{{.Ports}}|{{.Status}}|{{.Size}}|{{.Labels}}|{{.Mounts}}|{{.Networks}}'
ps --format 'table {{.Names}}\\t{{.Label "com.example.the-team"}}\\t{{.RunningFor}}'
ps --format 'table {{.Names | upper}}\\t{{.CreatedAt}}'
ps --format '{{.Nope}}'
ps --format '{{.ID'
ps -f x
ps x
ps -aq --format X
ps --format raw
ps -s --format raw
ps -q --format raw
images --format raw
images -q --format raw
images --digests --format raw
volume ls --format raw
volume ls -q --format raw
network ls --format raw
network ls -q --format raw
volume nosuch
help nosuch
--log-level nosuch ps
--tlsverify ps
--tls ps
--tlscacert /no/such --tlsverify ps
run --env-file /etc busybox
run --platform nosuch busybox
inspect -f '{{.Id}}' none
volume inspect -f '{{.Name}}' none
images
images --digests
images --no-trunc
images -q
images -a --format json
images --format '{{.Repository}}:{{.Tag}} {{.Size}} {{.CreatedSince}} {{.VirtualSize}}'
images --format 'table {{.ID}}\\t{{.Digest}}'
history busybox
history --no-trunc busybox
history -q busybox
history -H=false busybox
history --format json busybox
history --format '{{.ID}}: {{.CreatedBy}}' busybox
volume ls
volume ls -q
volume ls --format json
volume ls --format '{{.Name}} {{.Labels}} {{.Label "a"}}'
network ls
network ls --no-trunc
network ls -q
network ls --format '{{.ID}} {{.Name}} {{.IPv4}} {{.Internal}} {{.Labels}} {{.CreatedAt}}'
top web
top web -o pid,comm
port web
port web 80
port web 80/tcp
port web 81
diff web
diff empty
inspect web
inspect -f '{{.Name}} {{.Config.Cmd}} {{.Config.Labels}} {{json .State.Running}}' web
inspect -f '{{json .Args}}' web
inspect -f '{{range .Mounts}}{{.Source}}:{{.Destination}}{{end}}' web
inspect -f '{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}' web
inspect -f '{{range $k, $v := .NetworkSettings.Networks}}{{$k}}={{$v.IPAddress}}{{end}}' web stopped
inspect -f '{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}' web
inspect -f '{{.HostConfig.Binds}} {{.Config.Volumes}} {{.HostConfig.Memory}}' web
inspect -f '{{.Nope}}' web
inspect -f '{{.Nope' web
inspect -f json web
inspect none
inspect none web -f '{{.Name}}'
inspect --type image none
inspect
container inspect none web
image inspect none
volume inspect none
network inspect none
start web none web
start -a none
start -a web stopped
start -a web
stop web none
stop -t 3 -s INT web
restart web none
kill web
kill -s HUP none
rm web none
rm -f none
rm -fv web none
pause web none
unpause web
rename web other
rename none other
wait web none
tag busybox other:1
tag none other
tag busybox Other
tag busybox@ other
rmi busybox none
rmi -f none
rmi busy
commit web mine:1
commit web Mine
commit none
commit
import /no/such/file
import
exec web true
exec web fails
exec none true
exec -d web true
exec -it web true
exec web
logs web
logs -f -n 5 -t --since 1 --until 2.5 web
logs --since nonsense web
logs none
events
events --since 1h --until 0s -f type=container
events --format json
events --format '{{.Type}} {{.Action}} {{.Actor.ID}} {{.Actor.Attributes.name}} {{.Time}}'
events --format '{{json .Actor}}'
events --since x
attach none
attach stopped
attach web
pull
pull A
pull -a busybox:1
pull none.example/x
pull known.example/x
pull -q known.example/x:1
create busybox
create none.example/x
create --name used busybox
run busybox
run -d busybox
run --name used busybox
run --pull never missing
run --pull sometimes busybox
run none.example/x
run -it busybox
run -d -a stdout busybox
run --rm --restart always busybox
run
run --nope
run -x busybox
run --memory
run -m 4q busybox
run -m x busybox
run --memory 1kbb busybox
run --cpus x busybox
run --cpus 0.0000000001 busybox
run --tty=x busybox
run --pids-limit x busybox
run --blkio-weight 70000 busybox
run -e = busybox
run --env-file /no/such busybox
run --label-file /no/such busybox
run --ulimit x busybox
run --ulimit x=1 busybox
run --ulimit nofile=2:1 busybox
run --ulimit nofile=1:2:3 busybox
run --ulimit nofile=x busybox
run --device x busybox
run --device-cgroup-rule x busybox
run --device-read-bps /dev/sda:x busybox
run --device-read-iops /dev/sda:x busybox
run --blkio-weight-device /dev/sda:5 busybox
run --blkio-weight-device sda:500 busybox
run --add-host x busybox
run --add-host x:y busybox
run --dns x busybox
run --dns-search / busybox
run --sysctl a=b busybox
run --label = busybox
run --mac-address x busybox
run --security-opt x busybox
run --security-opt seccomp=/no/such busybox
run --health-interval 5 busybox
run --health-interval=-5s busybox
run --no-healthcheck --health-cmd x busybox
run --log-driver none --log-opt a=b busybox
run --pid x busybox
run --uts x busybox
run --userns x busybox
run --cgroupns x busybox
run --network a --network a busybox
run --network name=a,x=y busybox
run --network name=a,ip=1.2.3.4 --ip 1.2.3.4 busybox
run --mount x busybox
run --mount type=bind busybox
run --mount target=/x,x=y busybox
run --mount type=bind,target=/x,volume-nocopy busybox
run --mount type=tmpfs,target=/x,tmpfs-size=q busybox
run --mount type=tmpfs,target=/x,tmpfs-mode=9 busybox
run --mount type=bind,target=/x,readonly=x busybox
run --mount type=bind,target=/x,bind-recursive=x busybox
run --mount type=bind,source=/,target=/x,bind-recursive=readonly busybox
run -v '' busybox
run -a x busybox
run --expose x busybox
run --expose 1:2 busybox
run -p x:80 busybox
run -p 80:x busybox
run -p 1-2:3-5 busybox
run -p 80/x busybox
run -p 1.2.3:80:80 busybox
run --memory-swappiness 200 busybox
run --storage-opt x busybox
run --link a:b:c busybox
run --gpus x busybox
run --stop-timeout x busybox
run A
run ''
save
save busybox
save busybox none
save --platform nosuch busybox
save -o /no/such/file busybox
save -o /tmp busybox
save -o /dev/null busybox
load -i /no/such
load -i /dev/null
load --platform nosuch -i /dev/null
load x
push
push known.example/x
push -q known.example/x:1
push -a known.example/x
push -a known.example/x:1
push busybox@sha256:aa
push UPPER
push none.example/x
login -u a -p b --password-stdin
login --password-stdin
login -u a known.example
login
login -u me -p right known.example
login -u me -p wrong known.example
logout
logout known.example
logout https://known.example/v2/
search known
search --no-trunc known
search --limit 5 -f stars=2 -f is-official=true known
search --format json known
search --format '{{.Name}} {{.StarCount}} {{.IsOfficial}} {{.Description}}' known
search --format '{{json .}}' known
search --format 'table {{.Name}}\\t{{.IsOfficial}}' known
search --format '{{.Nope}}' known
search none
search -f x known
search
search a b
image prune -f
image prune -af
image prune
image prune -f --filter x
image prune -f --filter until=1h --filter label=a
volume create mine
volume rm web none
container prune
container prune -f --filter label=a --filter until=1h
container prune -f --filter label
volume prune
volume prune -a
volume prune -af
volume prune -af --filter all=1
volume prune -f --filter label!=x
builder prune
builder prune -a
builder prune -af --filter until=1h --keep-storage 1g
system df
system df --format json
system df --format raw
system df --format '{{.Type}}:{{.TotalCount}}:{{.Active}}:{{.Size}}:{{.Reclaimable}}'
system df --format 'table {{.Type}}\\t{{.Size}}'
system df -v
system df -v --format json
system df -v --format '{{range .Images}}{{.Repository}}:{{.Tag}} {{.UniqueSize}};{{end}}'
system df -v --format '{{json .Volumes}}'
system df -v --format '{{range .Containers}}{{.ID}} {{.Size}} {{.LocalVolumes}};{{end}}'
system df -v --format '{{range .BuildCache}}{{.ID}} {{.LastUsedSince}} {{.InUse}};{{end}}'
volume ls --cluster
volume update none
volume update web --availability pause
history --platform linux/arm64 busybox
history --platform nosuch busybox
image inspect --platform nosuch none
rmi --platform linux/arm64,linux/amd64 busybox
system prune
system prune -a --volumes
system prune -a --filter until=1h --filter label=a=b
system prune --volumes --filter until=1h
system prune -f
system prune -af --volumes --filter label=a=b
nope
container nope
--nope
-X ps
-H tcp:// ps
-H x://y ps
ps --no-trunc=x
stop
""".strip().splitlines()


@pytest.fixture
def engine(engine: Recorder) -> Recorder:
    return answer(engine)


@pytest.mark.parametrize("words", SAME)
def test_same(words: str, engine: Recorder, proa: Proa) -> None:
    compare(words, engine, proa)


def compare(words: str, engine: Recorder, proa: Proa) -> None:
    """Give the words to both, and hold what they say against each other."""
    program = find("docker")
    need(docker_version(program) >= (28,), "docker 28")
    arguments = shlex.split(words)
    environment = {**os.environ, "DOCKER_HOST": engine.url, "DOCKER_CLI_HINTS": "false"}
    done = subprocess.run(
        [*program, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=30,
    )
    outcome = proa(*arguments)
    expected = (done.returncode, done.stdout, _ours(done.stderr))
    if arguments[:2] == ["run", "-p"]:  # builds of docker differ in the library that reads ports, and its capitals
        outcome, expected = (Outcome(*each[:2], each[2].lower()) for each in (outcome, expected))
    assert outcome == expected


@pytest.mark.parametrize("password", ["right", "wrong"])
def test_same_with_stored_credentials(password: str, engine: Recorder, proa: Proa, tmp_path: Path) -> None:
    auth = base64.b64encode(f"me:{password}".encode()).decode()
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker/config.json").write_text(json.dumps({"auths": {"known.example": {"auth": auth}}}))
    compare("login https://known.example/v2/", engine, proa)


def _ours(text: str) -> str:
    """Docker's words with our names."""
    text = (
        text.replace("docker: ", "proa: ")
        .replace("'docker", "'proa")
        .replace("  docker", "  proa")
        .replace(": docker ", ": proa ")
    )
    if text.startswith("DEPRECATED: The legacy builder"):  # ours has not been there before
        text = text.partition("\n\n")[2]
    return text.replace("the Docker daemon", "the Proa daemon").replace(
        "Is the docker daemon", "Is the proad daemon"
    )
