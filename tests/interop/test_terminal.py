"""The README's walk-through, with a client from Debian and the keyboard of a newcomer: two people
log in, add each other and talk. What is typed is read from the README."""

import os
import pathlib
import re
import shutil
import subprocess
import time

import pytest

from harness import DOMAIN, PASSWORD, ROOT

# How long the screen may take to show something.
PATIENCE_SECONDS = 30


class Terminal:
    """profanity on a screen of its own, by way of tmux."""

    def __init__(self, directory, name):
        self.name = name
        self.home = pathlib.Path(directory) / name
        # Its own tmux server: nobody's sessions are touched.
        self.socket = str(pathlib.Path(directory) / f"{name}.tmux")
        for part in ("config", "data", "cache"):
            (self.home / part).mkdir(parents=True)
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(self.home), "TERM": "xterm", "LC_ALL": "C.UTF-8",
            "XDG_CONFIG_HOME": str(self.home / "config"), "XDG_DATA_HOME": str(self.home / "data"),
            "XDG_CACHE_HOME": str(self.home / "cache"),
        }
        subprocess.run(
            ["tmux", "-S", self.socket, "-f", "/dev/null", "new-session", "-d", "-x", "120", "-y", "40", "profanity"],
            env=environment, check=True,
        )

    def tmux(self, *args):
        done = subprocess.run(["tmux", "-S", self.socket, *args], capture_output=True, text=True, check=True)
        return done.stdout

    def screen(self):
        return self.tmux("capture-pane", "-p")

    def types(self, line):
        self.tmux("send-keys", "-l", line)
        self.tmux("send-keys", "Enter")

    def shows(self, pattern):
        """Waits until the screen shows this."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            screen = self.screen()
            if re.search(pattern, screen):
                return screen
            time.sleep(0.1)
        raise AssertionError(f"{self.name}'s screen does not show {pattern!r}:\n{self.screen()}")

    def gone(self, pattern):
        """Waits until the screen does not show this any more."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while re.search(pattern, self.screen()):
            assert time.monotonic() < deadline, f"{self.name}'s screen still shows {pattern!r}"
            time.sleep(0.1)

    def quit(self):
        subprocess.run(["tmux", "-S", self.socket, "kill-server"], capture_output=True, check=False)


@pytest.fixture
def people(service, tmp_path):
    """Alice and Bob before their keyboards."""
    assert shutil.which("tmux") and shutil.which("profanity"), "tests/run installs them"
    for name in ("alice", "bob"):
        service.add_user(name)
    terminals = [Terminal(tmp_path, name) for name in ("alice", "bob")]
    yield terminals
    for terminal in terminals:
        terminal.quit()


def walk_through():
    """What the README tells a newcomer to type: by command, in its order."""
    section = (ROOT / "README.md").read_text().split("## Talk to somebody")[1].split("\n## ")[0]
    commands = [line.strip() for line in section.splitlines() if line.startswith("    /")]
    kinds = [" ".join(command.split()[:2 if command.startswith("/sub") else 1]) for command in commands]
    assert kinds == ["/connect", "/sub request", "/msg", "/sub allow", "/msg"], commands
    return commands


def log_in(terminal, service, connect):
    """`connect` is the README's line, which takes the standard port."""
    terminal.types(f"{connect.replace('alice', terminal.name)} port {service.c2s_port}")
    terminal.shows("(?i)enter password")
    terminal.types(PASSWORD)
    terminal.shows(rf"{terminal.name}@{DOMAIN}(/\S+)? logged in successfully")


def test_walk_through(service, people):
    alice, bob = people
    connect, ask, hello, allow, answer = walk_through()
    for person in people:
        person.shows("Profanity")
        log_in(person, service, connect)

    alice.types(ask)
    bob.shows(f"(?i)(subscription|authorization) request from alice@{DOMAIN}")
    alice.types(hello)
    bob.shows("chat message: alice")
    bob.types(allow)
    bob.types(answer)
    alice.shows(answer.split(maxsplit=2)[2])
    bob.shows(answer.split(maxsplit=2)[2])
    # Bob's window with alice shows what came first.
    bob.shows(hello.split(maxsplit=2)[2])

    alice.types("/win 1")
    alice.shows(rf"(?i)subscription received from bob@{DOMAIN}")
    alice.shows(rf"(?i)bob@{DOMAIN} .*is online")
    alice.types("/win 2")

    # And on: they talk in that window, in any script.
    alice.types("Ay me! ☃")
    alice.shows("Ay me! ☃")
    bob.shows("Ay me! ☃")

    # What is said while one is away is there when he comes back.
    bob.types("/disconnect")
    bob.shows("(?i)logged out")
    alice.types("Still there?")
    alice.shows("Still there")
    bob.types("/win 1")
    bob.types("/clear")
    bob.gone("logged out")
    log_in(bob, service, connect)
    bob.shows("chat message: alice")
    bob.types("/win 2")
    bob.shows("Still there")
