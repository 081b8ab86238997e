"""Templates: the same to docker and to proa, with the same output, messages and exit codes."""

from __future__ import annotations

import os
import subprocess

import pytest

from rig.clients import docker_version, find
from rig.needs import need
from rig.recorder import Recorder

from .answers import answer
from .conftest import Proa

# Of a row, which has methods in docker.
ROWS = [
    "{{.Nope}}",
    "{{.Name",
    "{{nope}}",
    "{{json}}",
    "{{.Name.X}}",
    '{{index .Name "a"}}',
    "{{len 3}}",
    '{{template "x"}}',
    '{{define "T"}}<{{.}}>{{end}}{{template "T" .Name}}',
    '{{block "B" .Name}}[{{.}}]{{end}}',
    '{{printf "%d" .Name}}',
    "{{if}}x{{end}}",
    "{{range}}{{end}}",
    "{{end}}",
    "{{.Name | nope}}",
    '{{"a" | printf "%s-%s" "b"}}',
    "{{$x := .Name}}{{$x}}",
    "{{$y}}",
    "{{else}}",
    "{{if .Name}}a",
    '{{"unclosed}}',
    "{{.Name}",
    "{{.Name}}}}",
    "{{ .Name -}}  x",
    '{{slice "abc" 1 5}}',
    '{{index "abc" 5}}',
    '{{lt 1 "a"}}',
    '{{eq .Name "v9" "v10"}}',
    '{{and true ""}}',
    '{{or "" 0 "x"}}',
    "{{not .Name}}",
    '{{html "<a>"}}',
    '{{js "a\'b<"}}',
    '{{urlquery "a b/c"}}',
    '{{print 1 2 "a" 3}}',
    "{{println .Name}}",
    '{{printf "%q %v %5s|%-5s|%05d %x %t %.2f" "a" 1 "b" "c" 42 255 true 1.5}}',
    '{{title "hello world"}}',
    '{{pad "x" 2 3}}|',
    '{{truncate "hello" 2}}',
    '{{join (split "a,b" ",") "-"}}',
    "{{call .Name}}",
    "{{break}}",
    "{{1}}",
    "{{nil}}",
    "{{true}}",
    "{{1.50}}",
    "{{0x10}}",
    "{{'a'}}",
    "{{`raw`}}",
    "{{/* c */}}x",
    "{{with $x := 5}}{{$x}}{{end}}",
    '{{range $i, $e := split "a,b" ","}}{{$i}}={{$e}};{{else}}none{{end}}',
    '{{range split "" ","}}x{{else}}none{{end}}',
    "{{if eq 1 2}}a{{else if eq 1 1}}b{{else}}c{{end}}",
    '{{with ""}}a{{else with "x"}}{{.}}{{end}}',
    "{{range $i := 3}}{{$i}}{{end}}",
    "{{range 3}}{{.}}{{end}}",
    "{{$x := 1}}{{$x = 2}}{{$x}}",
    '{{len "añb"}}',
    '{{index (split "a,b" ",") 1}}',
    "{{ge 2 1}} {{le 1 1}} {{gt 1 2}} {{ne 1 2}}",
    '{{printf "%s" 5}}',
    '{{printf "%d" "x"}}',
    '{{printf "%v %v"  1}}',
    '{{printf "%v" 1 2}}',
    '{{json "<a>&"}}',
    '{{(split "a,b" ",")}}',
    "{{println}}",
    "{{.Name|upper|lower}}",
    '{{template "x" .}}',
    '{{range split "a,b,c" ","}}{{if eq . "b"}}{{continue}}{{end}}{{.}}{{end}}',
    '{{"a\\tb"}}',
    '{{- "x" -}}',
    '{{print (len "abc") "x"}}',
    '{{3 | printf "%03d"}}',
    "{{not 1 2}}",
    "{{eq 1}}",
    '{{eq "a" 1}}',
    '{{join "a" "b"}}',
    '{{split "a"}}',
    "{{lower 5}}",
    '{{truncate "a" "b"}}',
    "{{.Name.Foo.Bar}}",
    "{{$.Name}}",
    "{{1 2}}",
    '{{.Name "x"}}',
    '{{"a" "b"}}',
    "{{index}}",
    '{{slice "abc"}}',
    "{{if .Name}}{{else}}{{else}}{{end}}",
    "{{range $a, $b, $c := .Name}}{{end}}",
    '{{ "a" | }}',
    "{{| upper}}",
    "{{()}}",
    "{{(.Name}}",
    "{{.Name)}}",
    "{{,}}",
    "{{=}}",
    "{{:=}}",
    "{{.Name :=}}",
    "{{#}}",
    "{{.Name\n}}",
    "{{- /* c */ -}} x",
    "{{/* c}}",
    "{{.1}}",
    "{{..}}",
    "{{1a}}",
    "{{01}}",
    "{{1e3}}",
    "{{-1}}",
    "{{+1}}",
    "{{1_000}}",
    "{{0b11}}",
    "{{0o17}}",
]

# Of what the engine says about a container, which docker reads into structures.
INSPECTED = [
    "{{.Config.Volumes.x}}",
    "{{.Config.Labels.none}}",
    "{{.State}}",
    "{{.Mounts}}",
    "{{.NetworkSettings.Ports}}",
    "{{json .NetworkSettings.Ports}}",
    "{{.HostConfig.RestartPolicy}}",
    "{{.HostConfig.LogConfig}}",
    "{{json .State}}",
    "{{.State.Status}} {{.State.Running}}",
    "{{len .Mounts}}",
    "{{(index .Mounts 0).Source}}",
    "{{range .Mounts}}{{.}}{{end}}",
    "{{with .State}}{{.Pid}}{{end}}",
    "{{.HostConfig.PortBindings}}",
    "{{range $p, $b := .NetworkSettings.Ports}}{{$p}} -> {{$b}};{{end}}",
    "{{.State.Nope}}",
    "{{.Name.Nope}}",
    '{{index .Config.Labels "a"}} {{.Config.Labels.b}} {{.Config.Labels.none}}',
    "{{.Config.Env}} {{.Config.Cmd}} {{.Args}}",
    '{{define "x"}}{{.Status}}{{end}}{{template "x" .State}}',
    '{{printf "%s %d %v" .Name .State.Pid .State.Running}}',
    "{{.State.Health}}",
    "{{println .Name}}",
    "{{.Config.Tty}} {{.HostConfig.Memory}} {{.Created}}",
]
# Of structures that are not those of containers.
OF_NETWORKS = [
    "{{.}}", "{{.IPAM}}", "{{.IPAM.Config}}", "{{index .IPAM.Config 0}}", "{{(index .IPAM.Config 0).Gateway}}",
    "{{range .Containers}}{{.}} {{.Name}}{{end}}", "{{.Containers}}", "{{.ConfigFrom}}", "{{.ConfigFrom.Network}}",
    "{{.Peers}}", "{{.Services}}", "{{.Options}}", "{{.Labels}}", "{{.Created}}", "{{json .Created}}", "{{.Nope}}",
    "{{json .IPAM}}", "{{len .IPAM.Config}}", "{{range .IPAM.Config}}{{.Subnet}}{{.IPRange}}{{end}}",
]  # fmt: skip
OF_VOLUMES = [
    "{{.}}", "{{.Status}}", "{{json .Status}}", "{{.UsageData}}", "{{.ClusterVolume}}", "{{.Options}}",
    "{{.Labels}}", "{{.Nope}}", "{{.CreatedAt}}", "{{.Name}} {{.Scope}}", "{{json .Labels}}", "{{json .Options}}",
]  # fmt: skip
CASES = [("network inspect web -f", text) for text in OF_NETWORKS]
CASES += [("volume inspect web -f", text) for text in OF_VOLUMES]
CASES += [("inspect --type network web -f", "{{.}}"), ("inspect --type volume web -f", "{{.}}")]
CASES += [("volume ls --format", text) for text in ROWS] + [("inspect web -f", text) for text in INSPECTED]


@pytest.mark.parametrize(("words", "text"), CASES)
def test_same(words: str, text: str, engine: Recorder, proa: Proa) -> None:
    program = find("docker")
    need(docker_version(program) >= (28,), "docker 28")
    answer(engine)
    arguments = [*words.split(), text]
    environment = {**os.environ, "DOCKER_HOST": engine.url, "DOCKER_CLI_HINTS": "false"}
    done = subprocess.run([*program, *arguments], env=environment, capture_output=True, text=True, timeout=30)
    outcome = proa(*arguments)
    assert outcome == (done.returncode, done.stdout, done.stderr)
