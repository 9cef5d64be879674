"""The README's walk-through, with a client from Debian and the keyboard of a newcomer: two people
log in, add each other and talk."""

import os
import pathlib
import re
import shutil
import subprocess
import time

import pytest

from harness import DOMAIN, PASSWORD

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
    """romeo and juliet before their keyboards."""
    assert shutil.which("tmux") and shutil.which("profanity"), "tests/run installs them"
    terminals = [Terminal(tmp_path, name) for name in ("romeo", "juliet")]
    yield terminals
    for terminal in terminals:
        terminal.quit()


def connect(terminal, service):
    terminal.types(f"/connect {terminal.name}@{DOMAIN} server {service.host} port {service.c2s_port}")
    terminal.shows("(?i)enter password")
    terminal.types(PASSWORD)


def log_in(terminal, service):
    terminal.shows("Profanity")
    connect(terminal, service)
    # The certificate made at the first start is signed by nobody.
    terminal.shows(r"/tls (allow|always)")
    terminal.types("/tls always")
    terminal.shows(rf"{terminal.name}@{DOMAIN}(/\S+)? logged in successfully")


def test_walk_through(service, people):
    romeo, juliet = people
    for person in people:
        log_in(person, service)

    romeo.types(f"/roster add juliet@{DOMAIN} Juliet")
    romeo.shows("Roster item added: juliet@localhost")
    romeo.types(f"/sub request juliet@{DOMAIN}")
    juliet.shows("(?i)subscription request from romeo@localhost|authorization request")
    juliet.types(f"/sub allow romeo@{DOMAIN}")
    romeo.shows("(?i)subscription received from|is online|authorized")
    juliet.types(f"/sub request romeo@{DOMAIN}")
    romeo.shows("(?i)subscription request from juliet@localhost|authorization request")
    romeo.types(f"/sub allow juliet@{DOMAIN}")
    juliet.shows("(?i)subscription received from|is online|authorized")

    romeo.types(f"/msg juliet@{DOMAIN} But soft, what light?")
    romeo.shows("But soft, what light")
    juliet.shows("(?i)chat message: romeo|romeo.*\\(win 2\\)|But soft, what light")
    juliet.types("/win 2")
    juliet.shows("But soft, what light")
    juliet.types("Ay me! ☃")
    juliet.shows("Ay me! ☃")
    romeo.types("/win 2")
    romeo.shows("Ay me! ☃")

    juliet.types("/disconnect")
    juliet.shows("(?i)logged out|disconnected")
    romeo.types("/win 2")
    romeo.types("Still there?")
    romeo.shows("Still there")
    # Back again: what was said meanwhile is there.
    juliet.types("/win 1")
    juliet.types("/clear")
    juliet.gone("logged out")
    connect(juliet, service)
    juliet.shows("logged in successfully")
    juliet.shows("chat message: romeo")
    juliet.types("/win 2")
    juliet.shows("Still there")
