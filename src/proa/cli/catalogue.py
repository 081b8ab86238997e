"""All commands: name -> module in `proa.cli.commands`, and the flags that stand before a command.

A second name of one module is an alias of the first.
"""

from __future__ import annotations

GLOBAL_FLAGS = (
    ("config", "", "string", "Directory of the client's configuration files"),
    ("context", "c", "string", "Name of the context that says which engine to talk to"),
    ("debug", "D", "", "Show where in the program an error comes from"),
    ("host", "H", "list", "Socket of the engine to talk to"),
    ("log-level", "l", "string", "Level of the client's own messages"),
    ("tls", "", "", "Use TLS; implied by --tlsverify"),
    ("tlscacert", "", "string", "Certificates of the authorities to trust"),
    ("tlscert", "", "string", "Client certificate"),
    ("tlskey", "", "string", "Key of the client certificate"),
    ("tlsverify", "", "", "Use TLS and check who answers"),
    ("version", "v", "", "Print the version and quit"),
)

# What `proa NAME` runs.
TOP = {
    "run": "run", "exec": "exec", "ps": "ps", "pull": "pull", "images": "images", "version": "version",
    "info": "info", "attach": "attach", "commit": "commit", "cp": "cp", "create": "create", "diff": "diff",
    "events": "events", "export": "export", "history": "history", "import": "import_", "inspect": "inspect",
    "kill": "kill", "logs": "logs", "pause": "pause", "port": "port", "rename": "rename", "restart": "restart",
    "rm": "rm", "rmi": "rmi", "start": "start", "stats": "stats", "stop": "stop", "tag": "tag", "top": "top",
    "unpause": "unpause", "update": "update", "wait": "wait",
    "load": "load", "login": "login", "logout": "logout", "push": "push", "save": "save", "search": "search",
}  # fmt: skip

# What `proa GROUP NAME` runs.
GROUPS: dict[str, tuple[str, dict[str, str]]] = {
    "builder": ("Manage builds", {"prune": "builder_prune"}),
    "completion": ("Make a shell complete the words of commands", {
        "bash": "completion_bash", "fish": "completion_fish", "zsh": "completion_zsh",
    }),
    "container": ("Manage containers", {
        "attach": "attach", "commit": "commit", "cp": "cp", "create": "create", "diff": "diff", "exec": "exec",
        "export": "export", "fork": "fork",
        "inspect": "inspect_container", "kill": "kill", "logs": "logs", "ls": "ps", "list": "ps", "ps": "ps",
        "pause": "pause", "port": "port", "prune": "container_prune", "rename": "rename",
        "restart": "restart", "rewind": "rewind", "rm": "rm", "remove": "rm", "run": "run",
        "snapshot": "snapshot", "start": "start", "stats": "stats", "stop": "stop",
        "top": "top", "unpause": "unpause", "update": "update", "wait": "wait",
    }),
    "context": ("Manage contexts: names for engines", {
        "create": "context_create", "export": "context_export", "import": "context_import",
        "inspect": "context_inspect", "ls": "context_ls", "list": "context_ls", "rm": "context_rm",
        "remove": "context_rm", "show": "context_show", "update": "context_update", "use": "context_use",
    }),
    "image": ("Manage images", {
        "history": "history", "import": "import_", "inspect": "inspect_image", "ls": "images",
        "list": "images", "load": "load", "outdated": "image_outdated", "prune": "image_prune", "pull": "pull",
        "push": "push", "rm": "rmi", "remove": "rmi", "save": "save", "tag": "tag", "verify": "image_verify",
    }),
    "manifest": ("Manage lists of manifests: one name for several platforms", {
        "annotate": "manifest_annotate", "create": "manifest_create", "inspect": "manifest_inspect",
        "push": "manifest_push", "rm": "manifest_rm",
    }),
    "network": ("Manage networks", {
        "connect": "network_connect", "create": "network_create", "disconnect": "network_disconnect",
        "inspect": "inspect_network", "ls": "network_ls", "list": "network_ls", "prune": "network_prune",
        "rm": "network_rm", "remove": "network_rm",
    }),
    "snapshot": ("Manage snapshots of containers", {
        "create": "snapshot", "ls": "snapshot_ls", "list": "snapshot_ls", "rm": "snapshot_rm",
        "remove": "snapshot_rm",
    }),
    "system": ("Manage Proa", {
        "df": "system_df", "dial-stdio": "dial_stdio", "events": "events", "info": "info", "ports": "system_ports",
        "prune": "system_prune",
    }),
    "volume": ("Manage volumes", {
        "create": "volume_create", "inspect": "inspect_volume", "ls": "volume_ls", "list": "volume_ls",
        "prune": "volume_prune", "rm": "volume_rm", "remove": "volume_rm", "update": "volume_update",
    }),
}  # fmt: skip

# Commands that programs call, not people: `--help` is silent about them.
HIDDEN = ("dial_stdio",)

COMMON = ("run", "exec", "ps", "pull", "images", "version", "info")

# One line for each module.
SUMMARIES = {
    "attach": "Connect the terminal or the standard streams to a running container",
    "builder_prune": "Remove the cache of builds",
    "commit": "Make an image of what has changed in a container",
    "completion_bash": "Print the script for bash",
    "completion_fish": "Print the script for fish",
    "completion_zsh": "Print the script for zsh",
    "container_prune": "Remove all containers that do not run",
    "context_create": "Give an engine a name",
    "context_export": "Write a context to a tar archive, with its keys",
    "context_import": "Take a context from an archive",
    "context_inspect": "Show all that is known about contexts",
    "context_ls": "List contexts",
    "context_rm": "Remove contexts",
    "context_show": "Show the name of the context in use",
    "context_update": "Change a context",
    "context_use": "Choose the engine to talk to from now on",
    "cp": "Copy files between a container and this machine",
    "create": "Make a container without starting it",
    "dial_stdio": "Connect standard input and output to the engine's socket",
    "diff": "Show which files a container has added, changed and deleted",
    "events": "Follow what happens in the engine",
    "exec": "Run another program in a running container",
    "export": "Write a container's files as a tar archive",
    "fork": "Make copies of a container that begin with what it has written",
    "history": "Show how an image was made, layer by layer",
    "image_outdated": "Show which images are newer at their registries",
    "image_prune": "Remove images that nothing needs",
    "image_verify": "Check that the disk holds what the digests of images say",
    "images": "List images",
    "import_": "Make an image of a tar archive with a root filesystem",
    "info": "Show the engine's configuration and the machine it runs on",
    "inspect": "Show all that is known about containers, images, volumes and networks",
    "inspect_container": "Show all that is known about containers",
    "inspect_image": "Show all that is known about images",
    "inspect_network": "Show all that is known about networks",
    "inspect_volume": "Show all that is known about volumes",
    "kill": "Send a signal to containers, SIGKILL unless told",
    "load": "Make the images of a tar archive",
    "login": "Prove who you are to a registry, and keep what proves it",
    "logout": "Forget what proves who you are to a registry",
    "logs": "Show what a container has written",
    "manifest_annotate": "Change the platform of a manifest in a list",
    "manifest_create": "Make a list of manifests, to be pushed",
    "manifest_inspect": "Show a manifest, or a list of them, of a registry",
    "manifest_push": "Send a list of manifests to a registry",
    "manifest_rm": "Remove lists of manifests from this machine",
    "network_connect": "Give a container a place on a network",
    "network_create": "Make a network",
    "network_disconnect": "Take a container from a network",
    "network_ls": "List networks",
    "network_prune": "Remove all networks that no container is on",
    "network_rm": "Remove networks",
    "pause": "Freeze all processes of containers",
    "port": "Show the published ports of a container",
    "ps": "List containers",
    "pull": "Fetch an image from a registry",
    "push": "Send an image to a registry",
    "rename": "Give a container another name",
    "restart": "Stop containers and start them again",
    "rewind": "Let a stopped container have what it had at a snapshot",
    "rm": "Remove containers",
    "rmi": "Remove images, or names of images",
    "run": "Make a container of an image and run it",
    "save": "Write images as a tar archive",
    "search": "Look for images in a registry, Docker Hub unless told",
    "snapshot": "Keep what a container has written, to go back to it or to copy it",
    "snapshot_ls": "List the snapshots of a container",
    "snapshot_rm": "Remove snapshots of a container",
    "start": "Start containers that do not run",
    "stats": "Show what containers use, kept up to date",
    "stop": "Ask containers to end, and end them after a while",
    "system_ports": "Show which ports of this host lead to containers, and who gets at them",
    "system_df": "Show what images, containers, volumes and caches take on the disk",
    "system_prune": "Remove everything that nothing uses",
    "tag": "Give an image another name",
    "top": "Show the processes of a container",
    "unpause": "Let frozen processes of containers run on",
    "update": "Change limits and restart policies of containers",
    "version": "Show the versions of the client and the engine",
    "volume_create": "Make a volume",
    "volume_ls": "List volumes",
    "volume_prune": "Remove volumes that no container uses",
    "volume_rm": "Remove volumes",
    "volume_update": "Change a volume of a swarm",
    "wait": "Wait until containers end and show their exit codes",
}
