"""The names users give to containers, volumes and signals, and those that containers get without one."""

from __future__ import annotations

import re
import secrets
import signal
from collections.abc import Callable

from proa.errors import InvalidArgument
from proa.ids import new_id, short

_CHARACTERS = "[a-zA-Z0-9][a-zA-Z0-9_.-]"
_NAME = re.compile(f"{_CHARACTERS}+")
_ATTEMPTS = 6  # as Docker tries
_MAX_VOLUME_NAME = 255  # bytes: it is the name of a directory

_ADJECTIVES = tuple(
    """
able adroit airy amber ample ardent artful astute azure balmy bold bonny brave breezy bright brisk
buoyant calm candid canny cheery civil clear clever coastal cordial cosy crisp curious daring deft dewy
eager early earnest easy elegant fair faithful fleet fond frank fresh gallant genial gentle gifted glad
golden graceful grand happy hardy hearty honest humble jaunty jolly jovial keen kind lively loyal lucid
lucky mellow merry mild mindful modest neat nimble noble patient placid plucky polite prompt proud quick
quiet rapid ready robust rosy sage sandy serene sharp shiny silent silver sincere sleek smart snug spry
stable steady stellar stout sturdy sunny supple swift tidal tidy tranquil trim trusty upbeat valiant
vivid warm wise witty zesty
""".split()  # noqa: SIM905
)

# Navigators, shipwrights, oceanographers, and people whom computing owes something.
_SURNAMES = tuple(
    """
abbate alexanderson allen amundsen anning armstrong baffin banks barents bartik bass beaufort behaim
bering bernoulli bjerknes borg bougainville bowditch boyle brunel buys byron cabot cabral carpenter
cartier cavendish cerf challenger clarke codd conway cook cousteau dampier darwin davis diemer dijkstra
dumont earle ekman ericsson euler faroe fitzroy forrester franklin frobisher galton gama gerritsz gilbert
hadley halley hamilton harrison heezen henson herdman heyerdahl holberton hopper hudson humboldt ibnmajid
iselin johnson kalman kernighan knuth koldewey lamarr lamport leavitt liskov lovelace mackenzie maclear
magellan makarov mccarthy mcnulty mercator meucci mitchell murray nansen napier naur newcomb noether
norwood nunes nydam patterson peary perlman piailug pytheas quiros reynolds ritchie ross rossby sammet
scoresby shackleton sigsbee slocum spence stevin stokes sverdrup tasman tharp thompson torres tupaia
turing vancouver vespucci wallis weddell wilkes wilkins wirth zheng
""".split()  # noqa: SIM905
)

# The C library's aliases and the names that Python's `signal` has no member for.
_SIGNAL_ALIASES = {
    "IOT": signal.SIGABRT,
    "POLL": signal.SIGIO,
    "CLD": signal.SIGCHLD,
    "STKFLT": 16,
    "UNUSED": 31,
}


def random_name(taken: Callable[[str], bool]) -> str:
    """Return a name that is not `taken`, "brave_tupaia"; later attempts add a digit, the last is an id."""
    for attempt in range(_ATTEMPTS):
        name = f"{secrets.choice(_ADJECTIVES)}_{secrets.choice(_SURNAMES)}"
        if attempt:
            name += str(secrets.randbelow(10))
        if not taken(name):
            return name
    return short(new_id())


def is_name(name: str) -> bool:
    """Whether `name` is made as the names of containers are, without a slash."""
    return bool(_NAME.fullmatch(name))


def validate_container_name(name: str) -> str:
    """Return a container's name without the leading slash. Raises `InvalidArgument` in Docker's words."""
    bare = name.removeprefix("/")
    if not _NAME.fullmatch(bare):
        raise InvalidArgument(f"Invalid container name ({name}), only {_CHARACTERS} are allowed")
    return bare


def validate_volume_name(name: str) -> str:
    """Return a volume's name. Raises `InvalidArgument` in Docker's words."""
    if len(name) == 1:
        raise InvalidArgument("volume name is too short, names should be at least two alphanumeric characters")
    if not _NAME.fullmatch(name):
        raise InvalidArgument(
            f'"{name}" includes invalid characters for a local volume name, only "{_CHARACTERS}" '
            "are allowed. If you intended to pass a host directory, use absolute path"
        )
    if len(name) > _MAX_VOLUME_NAME:
        raise InvalidArgument(f"volume name is too long, it may have {_MAX_VOLUME_NAME} characters")
    return name


def parse_signal(text: str) -> int:
    """Return the number of a signal: "KILL", "SIGKILL", "9", "RTMIN+3". Raises `InvalidArgument`."""
    name = text.upper().removeprefix("SIG")
    if name.isascii() and name.isdecimal():
        number = int(name)
    elif name in _SIGNAL_ALIASES:
        number = int(_SIGNAL_ALIASES[name])
    elif match := re.fullmatch(r"(RTMIN|RTMAX)(?:([+-])(\d{1,2}))?", name):
        offset = int(match[3] or 0) * (-1 if match[2] == "-" else 1)
        number = int(signal.Signals[f"SIG{match[1]}"]) + offset
        if not signal.SIGRTMIN <= number <= signal.SIGRTMAX:
            raise InvalidArgument(f"invalid signal: {text}")
    else:
        number = int(signal.Signals.__members__.get(f"SIG{name}", 0))
    if number == 0:
        raise InvalidArgument(f"invalid signal: {text}")
    if number > signal.SIGRTMAX:
        raise InvalidArgument(f"the linux daemon does not support signal {number}")
    return number
