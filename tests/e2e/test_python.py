"""The engine in this process, without a daemon: docs/python.md, and what its example does not show."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from proa.engine import ContainerOptions, Engine, ExecOptions, RestartPolicy, Settings
from proa.errors import Conflict, InvalidArgument, NotFound
from rig.registry import Registry

BUSYBOX = "busybox"
DOCUMENT = Path(__file__).parents[2] / "docs/python.md"

Use = Callable[[Engine], Awaitable[None]]


@pytest.fixture
def settings(registry: Registry, tmp_path: Path) -> Settings:
    return Settings(data_root=tmp_path / "data", exec_root=tmp_path / "run", registry_mirrors=[registry.url])


@pytest.fixture
def using(settings: Settings) -> Iterator[Callable[[Use], None]]:
    """Runs a coroutine with an engine that has busybox; nothing of it may stay."""

    async def go(use: Use) -> None:
        async with Engine.open(settings) as engine:
            await engine.puller.pull(BUSYBOX)
            await use(engine)
            assert list(engine.containers.all()) == []

    yield lambda use: asyncio.run(go(use))


def test_the_documented_example(settings: Settings) -> None:
    code = re.search(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert code
    namespace: dict[str, object] = {"__name__": "example"}
    exec(compile(code[1], str(DOCUMENT), "exec"), namespace)
    main = namespace["main"]
    assert callable(main)
    asyncio.run(main(settings))


def test_streams_stay_apart_and_whole(using: Callable[[Use], None]) -> None:
    async def use(engine: Engine) -> None:
        script = "head -c 3000000 /dev/zero; echo problem >&2; exit 7"
        done = await engine.containers.run(ContainerOptions(image=BUSYBOX, command=["sh", "-c", script]))
        assert (done.code, done.stdout, done.stderr) == (7, bytes(3_000_000), b"problem\n")
        tty = await engine.containers.run(ContainerOptions(image=BUSYBOX, command=["sh", "-c", "tty; echo e >&2"],
                                                           tty=True))  # fmt: skip
        assert tty.stdout == b"/dev/pts/0\r\ne\r\n"

    using(use)


def test_output_of_a_program_that_does_not_read_its_input(using: Callable[[Use], None]) -> None:
    """What it leaves unread resets the connection; its output is there all the same, and it is no error."""

    async def use(engine: Engine) -> None:
        options = ContainerOptions(image=BUSYBOX, command=["echo", "hello"], network_mode="none")
        for size in (10, 20_000_000):
            done = await engine.containers.run(options, input=b"x" * size)
            assert (done.code, done.stdout) == (0, b"hello\n")

    using(use)


def test_options_that_exclude_each_other(using: Callable[[Use], None]) -> None:
    async def use(engine: Engine) -> None:
        options = ContainerOptions(image=BUSYBOX, auto_remove=True, restart_policy=RestartPolicy(name="always"))
        with pytest.raises(InvalidArgument, match="can't create 'AutoRemove' container with restart policy"):
            await engine.containers.create(options)

    using(use)


def test_what_can_not_run_leaves_nothing(using: Callable[[Use], None]) -> None:
    async def use(engine: Engine) -> None:
        with pytest.raises(NotFound, match="No such image"):
            await engine.containers.run(ContainerOptions(image="nosuch"))
        with pytest.raises(InvalidArgument, match="executable file not found"):
            await engine.containers.run(ContainerOptions(image=BUSYBOX, command=["nosuch"]))
        starts = engine.events.subscribe(filters={"event": ["start"]})
        task = asyncio.ensure_future(
            engine.containers.run(ContainerOptions(image=BUSYBOX, command=["sleep", "1000"]))
        )
        await anext(aiter(starts))
        starts.close()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    using(use)


def test_execs(using: Callable[[Use], None]) -> None:
    async def use(engine: Engine) -> None:
        box = await engine.containers.create(ContainerOptions(image=BUSYBOX, command=["sleep", "1000"]))
        await engine.containers.start(box.id)
        counted = await engine.execs.run(box.id, ExecOptions(command=["wc", "-c"]), input=b"x" * 1_000_000)
        assert (counted.code, counted.stdout) == (0, b"1000000\n")
        failed = await engine.execs.run(box.id, ExecOptions(command=["sh", "-c", "echo no >&2; exit 3"]))
        assert (failed.code, failed.stderr) == (3, b"no\n")
        with pytest.raises(InvalidArgument, match="executable file not found"):
            await engine.execs.run(box.id, ExecOptions(command=["nosuch"]))
        await engine.containers.remove(box.id, force=True)

    using(use)


def test_a_data_root_belongs_to_one_engine(using: Callable[[Use], None], settings: Settings) -> None:
    async def use(engine: Engine) -> None:
        with pytest.raises(Conflict, match="in use by another engine"):
            async with Engine.open(settings):
                pass

    using(use)


def test_containers_outlive_the_engine(settings: Settings) -> None:
    async def leave() -> str:
        async with Engine.open(settings) as engine:
            await engine.puller.pull(BUSYBOX)
            box = await engine.containers.create(ContainerOptions(image=BUSYBOX, command=["sleep", "1000"]))
            await engine.containers.start(box.id)
            return box.id

    async def come_back(name: str) -> None:
        async with Engine.open(settings) as engine:
            assert engine.containers.get(name).running
            await engine.containers.remove(name, force=True)

    asyncio.run(come_back(asyncio.run(leave())))
