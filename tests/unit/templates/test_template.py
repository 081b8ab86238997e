"""Go templates, with results of Go's own on the same data."""
# ruff: noqa: E501

from __future__ import annotations

from typing import Any

import pytest

from proa.templates.syntax import TemplateError
from proa.templates.template import Template

DATA: dict[str, Any] = {
    "Id": "abc",
    "Name": "/c1",
    "Count": 3,
    "Zero": 0,
    "Part": 1.5,
    "Big": 1234567890123,
    "Yes": True,
    "No": False,
    "Empty": "",
    "Cmd": ["sh", "-c", "true"],
    "None": [],
    "Labels": {"b": "2", "a": "1", "c.d": "3"},
    "State": {"Running": True, "Pid": 42, "Error": ""},
    "Ports": {"80/tcp": [{"HostPort": "8080"}], "81/tcp": None},
    "Config": {"Env": ["A=b"], "Volumes": None, "Entrypoint": None, "Labels": None},
    "LogConfig": {"Type": "json-file", "Config": {}},
    "GraphDriver": {"Data": {"UpperDir": "/u"}, "Name": "overlay2"},
    "Html": "<a&b>",
}

RENDERED = [
    ("plain", "plain"),
    ("{{.Id}}-{{ .Name }}", "abc-/c1"),
    ("{{.State.Pid}} {{.State}}", "42 { true false false false false 42 0    <nil>}"),
    ("{{.ID}}", "abc"),
    ("{{.Cmd}} {{.Labels}} {{.None}} {{.Yes}} {{.Part}} {{.Big}}", "[sh -c true] map[a:1 b:2 c.d:3] [] true 1.5 1234567890123"),
    ("{{.Config.Volumes}} {{.Config.Entrypoint}} {{.Config.Healthcheck}}", "map[] [] <nil>"),
    ("{{json .Cmd}} {{json .Html}} {{json .None}} {{.State | json}}", '["sh","-c","true"] "<a&b>" [] {"Running":true,"Pid":42,"Error":""}'),
    ("{{if .Yes}}a{{else}}b{{end}}{{if .No}}a{{else}}b{{end}}", "ab"),
    ("{{if .Zero}}a{{else if .Empty}}b{{else if .Cmd}}c{{else}}d{{end}}", "c"),
    ("{{if not .No}}x{{end}}{{if and .Yes .Count}}y{{end}}{{if or .No .Zero}}z{{end}}", "xy"),
    ("{{and 1 0 2}} {{or 0 \"\" 5}}", "0 5"),
    ("{{range .Cmd}}<{{.}}>{{end}}", "<sh><-c><true>"),
    ("{{range $i, $c := .Cmd}}{{$i}}={{$c}} {{end}}", "0=sh 1=-c 2=true "),
    ("{{range $k, $v := .Labels}}{{$k}}={{$v}};{{end}}", "a=1;b=2;c.d=3;"),
    ("{{range .None}}x{{else}}none{{end}}{{range .Config.Volumes}}x{{else}}none{{end}}", "nonenone"),
    ("{{range .Cmd}}{{if eq . \"-c\"}}{{continue}}{{end}}{{.}}{{if eq . \"true\"}}{{break}}{{end}}{{end}}", "shtrue"),
    ("{{range .Cmd}}{{$.Id}}{{end}}", "abcabcabc"),
    ("{{with .State}}{{.Pid}}{{end}}{{with .Empty}}x{{else}}-{{end}}", "42-"),
    ("{{with $x := .Count}}{{$x}}{{end}}{{$y := 1}}{{$y = 2}}{{$y}}", "32"),
    ("{{$x := 1}}{{if true}}{{$x = 2}}{{end}}{{$x}}", "2"),
    ("{{index .Cmd 1}} {{index .Labels \"c.d\"}} {{(index (index .Ports \"80/tcp\") 0).HostPort}}", "-c 3 8080"),
    ("{{index .Ports \"80/tcp\" 0 \"HostPort\"}} {{len .Cmd}} {{len .Name}} {{len .Config.Volumes}}", "8080 3 3 0"),
    ('{{index .Labels "nope"}}|{{index .Config.Labels "x"}}|{{index .LogConfig.Config "x"}}', "||"),
    ('{{if eq (index .Labels "nope") "x"}}y{{else}}n{{end}}{{.Labels.nope}}', "n<no value>"),
    ('{{.GraphDriver.Data.MergedDir}} {{index .Ports "82/tcp"}}', "<no value> <no value>"),
    ("{{join .Cmd \",\"}} {{split \"a,b\" \",\"}} {{upper .Id}} {{lower \"ABC\"}} {{title \"ab cd\"}}", "sh,-c,true [a b] ABC abc Ab Cd"),
    ("{{.Cmd | len | printf \"%03d\"}}", "003"),
    ("{{printf \"%s|%-6s|%6s|%q|%v|%d|%5.1f|%x|%t|%%\" .Id .Id .Id .Id .Cmd .Count .Part 255 .Yes}}",
     'abc|abc   |   abc|"abc"|[sh -c true]|3|  1.5|ff|true|%'),
    ("{{printf \"%d\" .Id}}{{printf \"%s\"}}", "%!d(string=abc)%!s(MISSING)"),
    ("{{println .Id .Count}}{{print 1 2 \"x\" 3}}", "abc 3\n1 2x3"),
    ("{{eq .Count 3}} {{eq .Id \"x\" \"abc\"}} {{ne .Id \"x\"}} {{lt 1 2}} {{le 2 2}} {{gt .Part 1}} {{ge 1 2}}",
     "true true true true true true false"),
    ("{{slice .Id 1}} {{slice .Cmd 0 1}}", "bc [sh]"),
    ("{{pad .Id 1 2}}| {{truncate .Id 2}} {{html .Html}} {{urlquery \"a b/\"}}", " abc  | ab &lt;a&amp;b&gt; a+b%2F"),
    ("{{`raw \"x\"`}} {{\"tab\\t\\\"q\\\"\"}} {{'a'}} {{0x10}} {{-1}} {{1.5}}", 'raw "x" tab\t"q" 97 16 -1 1.5'),
    ("a {{- .Id -}} b {{/* no */}}c{{- /* no */ -}} d", "aabcb cd"),
    ("{{\"}}\"}}{{`{{`}}", "}}{{"),
    ("{{ (len .Cmd) }}{{ (printf \"%s\" .Id) | upper }}", "3ABC"),
    ("{{range 2}}{{.}}{{end}}", "01"),
    ("{{.Config.Volumes.x}}", "<no value>"),
]  # fmt: skip

WRONG = [
    ("{{.Id", "unclosed action"),
    ("{{if .Id}}x", "unexpected EOF"),
    ("{{end}}", "unexpected {{end}}"),
    ("{{else}}", "unexpected {{else}}"),
    ("{{if}}x{{end}}", "missing value for if"),
    ("{{}}", "missing value for command"),
    ("{{nope .Id}}", 'function "nope" not defined'),
    ("{{$x}}", 'undefined variable "$x"'),
    ('{{"abc}}', "unterminated quoted string"),
    ("{{.Id ?}}", 'unexpected "?" in operand'),
    ("{{(len .Id}}", "unclosed left paren"),
    ("{{/* x }}", "unclosed comment"),
    ("{{.Nope}}", 'executing "" at <.Nope>: map has no entry for key "Nope"'),
    ("{{.State.Nope}}", 'at <.State.Nope>: map has no entry for key "Nope"'),
    ("{{.Id.Nope}}", "can't evaluate field Nope in type interface {}"),
    ("{{.Config.Entrypoint.x}}", "nil pointer evaluating x"),
    ("{{index .Cmd 9}}", "error calling index: index out of range: 9"),
    ('{{index .Cmd "a"}}', "cannot index slice/array with type string"),
    ('{{index .Config.Volumes "a"}}', "index of nil pointer"),
    ("{{len .Count}}", "len of type int"),
    ('{{eq .Count "3"}}', "incompatible types for comparison"),
    ("{{lt .Yes 1}}", "invalid type for comparison"),
    ("{{join .Id}}", "wrong number of args for join: want 2 got 1"),
    ("{{range .Id}}{{end}}", "range can't iterate over abc"),
    ('{{"x" .Id}}', "can't give argument to non-function"),
]

# What nobody writes by hand: it ends with an answer or a message, soon.
HOSTILE = [
    "{{" + "(" * 5000 + "1" + ")" * 5000 + "}}",
    "{{if 1}}" * 5000 + "{{end}}" * 5000,
    '{{define "x"}}{{template "x"}}{{end}}{{template "x"}}',
    "{{range 1000000000000}}{{break}}{{end}}",
    "{{\ud800}}", "\ud800{{.Nope}}", "{{'\\ud800'}}", "{{`\ud800` | len}}", '{{"\\U99999999"}}',
    '{{printf "%999999999d" 1}}', '{{printf "%*d" 3}}', "{{" * 3, "}}", "{{- -}}", "{{-}}", "{{1e999}}", "{{.}}{{",
]  # fmt: skip


@pytest.mark.parametrize("template", HOSTILE)
def test_hostile(template: str) -> None:
    try:
        assert isinstance(Template(template).render(DATA), str)
    except TemplateError as error:
        assert str(error).startswith("template: ")


@pytest.mark.parametrize(("template", "expected"), RENDERED)
def test_render(template: str, expected: str) -> None:
    assert Template(template).render(DATA) == expected


@pytest.mark.parametrize(("template", "message"), WRONG)
def test_wrong(template: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        Template(template).render(DATA)
    assert message in str(caught.value)
