"""Commands that are in no list: what shells call, those of docker's that Proa has not, docker's plugins.

A plugin is a program `docker-NAME` that answers `docker-cli-plugin-metadata`. It is a client of the engine like
docker's own command line and finds it by the same environment.
"""

from __future__ import annotations

import os

from proa.cli.errors import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from proa.cli.flags import Options

_SWARM = "Proa has no swarm, it runs containers on one machine"
_BUILD = "Proa cannot build images yet; `proa commit` and `proa import` make some"
# Docker's commands that Proa has not, and why.
REFUSED = {
    "build": _BUILD, "builder build": _BUILD, "image build": _BUILD, "buildx": _BUILD,
    "checkpoint": "Proa makes no checkpoints of containers",
    "completion powershell": "Proa runs on Linux, and completes for bash, fish and zsh",
    "config": _SWARM, "node": _SWARM, "secret": _SWARM, "service": _SWARM, "stack": _SWARM, "swarm": _SWARM,
    "plugin": "Proa's engine takes no plugins",
    "trust": "images signed with Docker Content Trust are not supported",
}  # fmt: skip

_PLACES = ("/usr/local/lib/docker/cli-plugins", "/usr/local/libexec/docker/cli-plugins",
           "/usr/lib/docker/cli-plugins", "/usr/libexec/docker/cli-plugins")  # fmt: skip


def refuse(name: str) -> None:
    """Raise `Failure` for a command of docker's that Proa has not."""
    if name in REFUSED:
        raise Failure(f"proa: '{name}' is not supported: {REFUSED[name]}")


def run_other(name: str, line: Sequence[str], options: Options) -> int:
    """Run what shells call or a plugin. `line` is the whole command line. Raises `Failure` for neither."""
    if name in ("__complete", "__completeNoDesc"):
        from proa.cli.completion.words import complete

        return complete(line[list(line).index(name) + 1 :], described=name == "__complete")
    if options["config"]:
        os.environ["DOCKER_CONFIG"] = options["config"]
    for path in plugins(name):
        _tell_engine(name, options)
        os.execv(path, [path, *line])
    refuse(name)
    raise Failure(f"proa: unknown command: proa {name}\n\nRun 'proa --help' for more information")


def _tell_engine(name: str, options: Options) -> None:
    """Name the engine that Proa would talk to in docker's environment; global flags the plugin reads itself."""
    from proa.cli.command import Invocation

    invocation = Invocation(f"proa {name}", options, [], options)
    if invocation.address().default:
        invocation.client.connect()  # starts the engine, which nobody else would
        os.environ["DOCKER_HOST"] = invocation.client.address.url
        invocation.close()
    elif os.environ.get("PROA_HOST"):
        os.environ["DOCKER_HOST"] = os.environ["PROA_HOST"]
    elif os.environ.get("PROA_CONTEXT") and not os.environ.get("DOCKER_HOST"):
        os.environ["DOCKER_CONTEXT"] = os.environ["PROA_CONTEXT"]


def plugins(name: str) -> Iterator[str]:
    """Yield the programs that are the plugin `name`, the one that counts first."""
    if not name.isalnum():
        return
    from proa.client.configuration import directory, load

    extra = load(os.environ).get("cliPluginsExtraDirs") or []
    for place in (*extra, f"{directory(os.environ)}/cli-plugins", *_PLACES):
        path = f"{place}/docker-{name}"
        if os.access(path, os.X_OK):
            yield path
