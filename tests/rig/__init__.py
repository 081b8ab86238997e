"""What the tests run on: images, a real registry, engines, clients and a leak check. Not tests themselves.

`trees`      files of a layer, written in memory: `Tree().directory("etc").file("etc/passwd", b"…")`
`images`     trees -> layers, configurations, manifests and indexes, with the bytes in one's own hand
`standard`   the images every engine test may count on, made from the distribution's packages (`STANDARD`)
`cache`      dear things are made once and kept under ~/.cache/proa-tests (PROA_TEST_CACHE moves it)
`registry`   a docker-registry process on loopback, what can be pushed to it, and its faulty twin
`engine`     a proad process of its own with data, sockets and life in one directory
`clients`    the docker CLI and proa as callables: `docker("run", "--rm", "busybox", "true")` -> Result
`api`        plain HTTP over the engine's socket, for what no client shows
`terminal`   a program on a pseudo terminal: send keys, wait for text, change the size
`leaks`      what the whole run left behind; fails the run
`needs`      what a test asks of the machine; a skip, or a failure under PROA_MUST_WORK=1
`vm`         a virtual machine with a part of the suite, beside the rest of the run

In a test, ask for fixtures (tests/conftest.py and tests/e2e/conftest.py):

    def test_pull(registry):                    # session wide; holds every image of `standard.STANDARD`
        registry.address                        # "127.0.0.1:43211", registry.url "http://127.0.0.1:43211"
        image = images.build([Tree().file("hello", b"world")], {"Cmd": ["sh"]})
        registry.push(image, "library/mine", "1.0")

    def test_run(client):                       # once with the docker CLI, once with proa; same engine
        assert client.ok("run", "--rm", "busybox", "echo", "hello") == "hello\\n"

    def test_kill(fresh_engine):                # an engine of one's own, to be killed and started again
        fresh_engine.kill(); fresh_engine.start()

docker.io is the registry through `--registry-mirror`, so `busybox` is docker.io/library/busybox:latest.
"""
