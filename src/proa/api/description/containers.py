"""What the handlers of containers and execs take and give."""

from __future__ import annotations

from proa.api.description.operation import (
    BYTES,
    CREATED,
    DONE,
    EMPTY,
    HIJACKED,
    OUTPUT,
    STREAM,
    TAR,
    WEB_SOCKET,
    Operation,
    filters,
    flag,
    integer,
    size,
    text,
)
from proa.api.types.containers import CreateBody, ExecConfig, ExecStart
from proa.api.types.egress import EgressChange
from proa.api.types.host_config import HostConfig
from proa.api.types.ports import PortsChange
from proa.engine.containers.wait import CONDITIONS
from proa.engine.filters import CONTAINER_FILTERS, PRUNE_FILTERS

_STREAMS = (
    flag("stream", "Stay, and pass on what comes"),
    flag("logs", "Begin with what was logged so far"),
    flag("stdin", "Send the client's input to the container"),
    flag("stdout", "Receive standard output"),
    flag("stderr", "Receive standard error"),
    text("detachKeys", 'Keys that let the client go, such as "ctrl-p,ctrl-q"'),
)
_SIZE = (size("h", "Rows"), size("w", "Columns"))
_STOP = (
    integer("t", "Seconds to wait before the container is killed; -1 waits for ever"),
    text("signal", "Signal to send instead of the container's own", since=(1, 42)),
)
_SNAPSHOT = text("snapshot", "Its name, its identifier or the beginning of that", required=True)
_PATH = text("path", "Path in the container", required=True)

OPERATIONS: dict[str, Operation] = {
    "containers.list:list_containers": Operation(
        "List containers",
        (
            flag("all", "Those that do not run, too"),
            integer("limit", "So many of the newest, of all states; 0 is all"),
            flag("size", "Tell sizes, which takes time"),
            filters(CONTAINER_FILTERS),
        ),
    ),
    "containers.create:create": Operation(
        "Create a container",
        (
            text("name", "Its name; one is made up without"),
            text("platform", "Platform of the image: os[/architecture[/variant]]", since=(1, 41)),
        ),
        CreateBody,
        CREATED,
    ),
    "containers.prune:prune": Operation("Remove containers that do not run", (filters(PRUNE_FILTERS),)),
    "containers.inspect:inspect": Operation(
        "Tell everything of a container", (flag("size", "Tell sizes, which takes time"),)
    ),
    "containers.inspect:top": Operation(
        "List the processes of a container", (text("ps_args", "Arguments of ps", default="-ef"),)
    ),
    "containers.inspect:changes": Operation("List what differs from the image"),
    "containers.logs:logs": Operation(
        "Read what a container has written",
        (
            flag("stdout", "Its standard output"),
            flag("stderr", "Its standard error"),
            flag("follow", "Go on as more is written"),
            flag("timestamps", "Begin each line with its time"),
            flag("details", "Begin each line with its attributes"),
            text("since", "From this moment on: seconds since the epoch, with a fraction"),
            text("until", "Up to this moment"),
            text("tail", "So many of the last lines", default="all"),
        ),
        answers=OUTPUT,
    ),
    "containers.lifecycle:start": Operation(
        "Start a container", (text("checkpoint", "Not supported"),), answers={204: "", 304: ""}
    ),
    "containers.lifecycle:stop": Operation("Stop a container", _STOP, answers={204: "", 304: ""}),
    "containers.lifecycle:restart": Operation("Stop a container and start it", _STOP, answers=DONE),
    "containers.lifecycle:kill": Operation(
        "Send a signal to a container", (text("signal", "Name or number", default="KILL"),), answers=DONE
    ),
    "containers.lifecycle:pause": Operation("Freeze the processes of a container", answers=DONE),
    "containers.lifecycle:unpause": Operation("Let a frozen container go on", answers=DONE),
    "containers.lifecycle:rename": Operation(
        "Give a container another name", (text("name", "The new name", required=True),), answers=DONE
    ),
    "containers.lifecycle:resize": Operation("Set the size of a container's terminal", _SIZE, answers=EMPTY),
    "containers.lifecycle:remove": Operation(
        "Remove a container",
        (
            flag("force", "Kill it first"),
            flag("v", "Remove its anonymous volumes, too"),
            flag("link", "Remove the link of this name, no container"),
        ),
        answers=DONE,
    ),
    "containers.wait:wait": Operation(
        "Wait for a container; the answer's head comes at once",
        (text("condition", "For what", one_of=CONDITIONS, default="not-running", since=(1, 30)),),
    ),
    "containers.attach:attach": Operation("Be a container's streams", _STREAMS, answers=HIJACKED),
    "containers.attach:attach_websocket": Operation(
        "Be a container's streams, over a WebSocket", _STREAMS, answers=WEB_SOCKET
    ),
    "containers.stats:stats": Operation(
        "Tell what a container uses",
        (
            flag("stream", "Each second, until it is removed", default=True),
            flag("one-shot", "At once, so without rates", since=(1, 41)),
        ),
        answers=STREAM,
    ),
    "containers.update:update": Operation("Change a container's limits and restart policy", body=HostConfig),
    "containers.ports:change": Operation(
        "Publish more ports of a container, and fewer, at once if it runs", body=PortsChange
    ),
    "containers.snapshots:list_snapshots": Operation("List what was kept of a container, the oldest first"),
    "containers.snapshots:take": Operation(
        "Keep what a container has written",
        (text("name", "Name of the snapshot; one is made up without"),),
        answers=CREATED,
    ),
    "containers.snapshots:remove": Operation("Forget a snapshot of a container", (_SNAPSHOT,), answers=DONE),
    "containers.snapshots:rewind": Operation(
        "Let a container that does not run have what it had at a snapshot", (_SNAPSHOT,), answers=DONE
    ),
    "containers.snapshots:fork": Operation(
        "Make copies of a container that begin with what it has written",
        (
            integer("count", "How many; 1 without"),
            text("name", "They are called this, with -1, -2 and so on behind; names are made up without"),
            text("snapshot", "What it had at this snapshot, instead of what it has now"),
            flag("start", "Start them"),
        ),
        answers=CREATED,
    ),
    "containers.egress:change": Operation(
        "Let a container reach what these rules allow, instead of those that it has, at once if it runs",
        body=EgressChange,
    ),
    "containers.archive:export": Operation("Read a container's whole root as tar", answers={200: BYTES}),
    "containers.archive:status": Operation(
        "Tell of a path, in the header X-Docker-Container-Path-Stat", (_PATH,), answers=EMPTY
    ),
    "containers.archive:read": Operation("Read a path as tar", (_PATH,), answers={200: TAR}),
    "containers.archive:write": Operation(
        "Unpack a tar archive into a directory",
        (
            _PATH,
            flag("noOverwriteDirNonDir", "Replace no directory by a file, nor a file by a directory"),
            flag("copyUIDGID", "Give what is unpacked to the container's user"),
        ),
        TAR,
        EMPTY,
    ),
    "execs:create": Operation("Prepare one more program in a container", body=ExecConfig, answers=CREATED),
    "execs:start": Operation("Start a prepared program", body=ExecStart, answers=HIJACKED),
    "execs:resize": Operation("Set the size of a program's terminal", _SIZE, answers=EMPTY),
    "execs:inspect": Operation("Tell of a program"),
}
