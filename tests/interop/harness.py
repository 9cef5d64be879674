"""The service as the interop tests see it: started, stopped, killed and administered."""

import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOMAIN = "localhost"
PASSWORD = "pencil, rope=1"

# How long a start or a stop may take before a test gives up; never waited for in one that passes.
PATIENCE_SECONDS = 60


def binary():
    """The debug build, or what WAYSTATION_BINARY names."""
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return os.environ.get("WAYSTATION_BINARY", str(target / "debug" / "waystation"))


def free_ports(count):
    """Ports below those that the system gives to outgoing connections: none of our own clients can
    take one while its server restarts."""
    ports = []
    while len(ports) < count:
        port = random.randrange(10000, 16000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in ports:
            ports.append(port)
    return ports


class Deployment:
    """What a test can do with the service, whatever it is made of."""

    host = "127.0.0.1"
    c2s_port: int
    direct_tls_port: int

    def start(self):
        raise NotImplementedError

    def stop(self):
        """SIGTERM; fails when the service does not end in peace."""
        raise NotImplementedError

    def kill9(self):
        raise NotImplementedError

    def restart(self):
        self.stop()
        self.start()

    def ctl(self, *args, stdin=""):
        """Runs `waystation ctl`; returns the finished process."""
        raise NotImplementedError

    def add_user(self, name, password=PASSWORD):
        done = self.ctl("user", "add", f"{name}@{DOMAIN}", "--password-stdin", stdin=password)
        assert done.returncode == 0, done

    @property
    def certificate(self):
        """Path of the certificate that clients may trust."""
        raise NotImplementedError

    def log(self):
        raise NotImplementedError

    def remove(self):
        """Ends whatever still runs, and removes all traces."""
        raise NotImplementedError


class Embedded(Deployment):
    """All roles in one process."""

    def __init__(self, settings=()):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="waystation-test-"))
        self.process = None
        self.extra = list(settings)
        self._choose_ports()

    def _choose_ports(self):
        self.c2s_port, self.direct_tls_port, http, self.operations_port, admin = free_ports(5)
        listen = {
            "c2s.starttls": self.c2s_port,
            "c2s.direct_tls": self.direct_tls_port,
            "http.listen": http,
            "operations.listen": self.operations_port,
            "admin.listen": admin,
        }
        self.settings = [f"{key}={self.host}:{port}" for key, port in listen.items()] + self.extra

    @property
    def data_dir(self):
        return self.dir / "data"

    @property
    def certificate(self):
        return self.data_dir / "certificate.pem"

    def _options(self):
        options = ["--data-dir", str(self.data_dir), "--node-name", "test"]
        for setting in self.settings:
            options += ["--set", setting]
        return options

    @staticmethod
    def _environment():
        # Nothing of the developer's environment configures a test's server.
        return {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}

    def start(self):
        for attempt in range(3):
            self._spawn()
            if self._wait_ready():
                return
            log = self.log()
            if "in use" not in log or attempt == 2:
                raise AssertionError(f"the server does not start:\n{log}")
            self._choose_ports()

    def _spawn(self):
        assert self.process is None, "stop it first"
        with open(self.dir / "log", "ab") as log:
            self.process = subprocess.Popen(
                [binary(), "run", *self._options()],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.dir, env=self._environment(),
            )

    def _wait_ready(self):
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                self.process = None
                return False
            try:
                url = f"http://{self.host}:{self.operations_port}/readyz"
                with urllib.request.urlopen(url, timeout=5) as answer:
                    if answer.status == 200:
                        return True
            except (urllib.error.URLError, OSError):
                pass
            time.sleep(0.02)
        raise AssertionError(f"the server does not get ready:\n{self.log()}")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(PATIENCE_SECONDS)
        self.process = None
        assert code == 0, f"exit code {code} after SIGTERM:\n{self.log()}"

    def kill9(self):
        self.process.kill()
        self.process.wait()
        self.process = None

    def ctl(self, *args, stdin=""):
        return subprocess.run(
            [binary(), "ctl", *self._options(), *args],
            input=stdin + "\n", text=True, capture_output=True, timeout=PATIENCE_SECONDS,
            cwd=self.dir, env=self._environment(), check=False,
        )

    def log(self):
        try:
            return (self.dir / "log").read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def remove(self):
        if self.process is not None:
            self.kill9()
        shutil.rmtree(self.dir, ignore_errors=True)


#: How the fixtures make a deployment; what runs the tests against a cluster replaces it.
make_deployment = Embedded
