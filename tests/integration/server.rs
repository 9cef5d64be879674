//! The real binary, started with a data directory and ports of its own.

use crate::client::{Client, DOMAIN, PASSWORD};
use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a start or a stop may take before a test gives up.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// A running server.
pub struct Server {
    process: Option<Child>,
    dir: TempDir,
    settings: Vec<String>,
    pub c2s: SocketAddr,
    pub direct_tls: SocketAddr,
    pub operations: SocketAddr,
}

impl Server {
    /// Starts one that allows logins without TLS, with these settings (`section.key=value`) on top.
    pub fn start(settings: &[&str]) -> Server {
        // Another process may take a port between our look and the server's bind: once more, then.
        for _ in 0..3 {
            if let Some(server) = Server::try_start(settings) {
                return server;
            }
        }
        panic!("the server's ports were taken three times")
    }

    fn try_start(settings: &[&str]) -> Option<Server> {
        let [c2s, direct_tls, http, operations, admin] = free_addresses();
        let mut all = vec![
            "c2s.allow_plaintext=true".to_owned(),
            format!("c2s.starttls={c2s}"),
            format!("c2s.direct_tls={direct_tls}"),
            format!("http.listen={http}"),
            format!("operations.listen={operations}"),
            format!("admin.listen={admin}"),
        ];
        all.extend(settings.iter().map(|s| (*s).to_owned()));
        let dir = TempDir::with_prefix("waystation-test-").expect("a temporary directory");
        let mut server = Server { process: None, dir, settings: all, c2s, direct_tls, operations };
        server.spawn();
        match server.wait_ready() {
            Ok(()) => Some(server),
            Err(_) if server.log().contains("in use") => None,
            Err(why) => panic!("{why}\n{}", server.log()),
        }
    }

    /// With these accounts, all with [`PASSWORD`].
    pub fn with_users(settings: &[&str], users: &[&str]) -> Server {
        let server = Server::start(settings);
        for user in users {
            server.add_user(user);
        }
        server
    }

    pub fn add_user(&self, user: &str) {
        let output =
            self.ctl_with_input(&["user", "add", &format!("{user}@{DOMAIN}"), "--password-stdin"], PASSWORD);
        assert!(output.status.success(), "user add {user}: {output:?}");
    }

    /// A logged-in client, without TLS.
    pub fn login(&self, user: &str, resource: &str) -> Client {
        Client::login(self.c2s, user, resource)
    }

    /// A logged-in client that is available and has read its own presence.
    pub fn online(&self, user: &str, resource: &str) -> Client {
        let mut client = self.login(user, resource);
        client.send("<presence/>");
        client.expect("<presence from='{self}'/>");
        client
    }

    // The process.

    fn command(&self) -> Command {
        let mut command = Command::new(binary());
        command.stdin(Stdio::null()).env_clear();
        // Nothing of the developer's environment configures a test's server.
        for name in ["PATH", "HOME", "TMPDIR", "RUST_BACKTRACE"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.current_dir(self.dir.path());
        command
    }

    fn spawn(&mut self) {
        let log = File::options().create(true).append(true).open(self.log_path()).expect("the log file");
        let mut command = self.command();
        command.arg("run").args(["--node-name", "test", "--data-dir"]).arg(self.data_dir());
        for setting in &self.settings {
            command.args(["--set", setting]);
        }
        command.stdout(log.try_clone().expect("the log file")).stderr(log);
        self.process = Some(command.spawn().expect("start the server"));
    }

    fn wait_ready(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + START_PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.process_mut().try_wait().expect("state of the server") {
                return Err(format!("the server ended with {status}"));
            }
            if self.http_get("/readyz").is_ok_and(|(status, _)| status == 200) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err("the server did not get ready in time".to_owned())
    }

    fn process_mut(&mut self) -> &mut Child {
        self.process.as_mut().expect("the server was started")
    }

    pub fn is_running(&mut self) -> bool {
        self.process_mut().try_wait().expect("state of the server").is_none()
    }

    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("the server was started").id()
    }

    /// Ends the process as a crash would.
    pub fn kill9(&mut self) {
        let mut process = self.process.take().expect("the server was started");
        process.kill().expect("kill -9");
        process.wait().expect("the end of the server");
    }

    /// Starts it again after [`Server::kill9`] or [`Server::stop`], on the same data and ports.
    pub fn restart(&mut self) {
        assert!(self.process.is_none(), "stop it first");
        self.spawn();
        if let Err(why) = self.wait_ready() {
            panic!("{why}\n{}", self.log());
        }
    }

    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).status();
        assert!(status.expect("the kill command").success());
    }

    /// Waits for the process to end by itself.
    pub fn wait(&mut self) -> ExitStatus {
        let mut process = self.process.take().expect("the server was started");
        let deadline = Instant::now() + START_PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = process.try_wait().expect("state of the server") {
                return status;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        process.kill().expect("kill -9");
        let _ = process.wait();
        panic!("the server did not stop in time\n{}", self.log())
    }

    /// SIGTERM, and a peaceful end.
    pub fn stop(&mut self) {
        self.signal("TERM");
        let status = self.wait();
        assert_eq!(status.code(), Some(0), "exit after SIGTERM\n{}", self.log());
    }

    // Looking in from outside.

    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub fn log_path(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Resident memory of the process, in bytes.
    pub fn memory_bytes(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("/proc");
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).expect("VmRSS");
        line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") * 1024
    }

    /// `waystation ctl ...` against this server.
    pub fn ctl(&self, args: &[&str]) -> Output {
        self.ctl_with_input(args, "")
    }

    pub fn ctl_with_input(&self, args: &[&str], input: &str) -> Output {
        let mut command = self.command();
        command.arg("ctl").arg("--data-dir").arg(self.data_dir());
        for setting in &self.settings {
            command.args(["--set", setting]);
        }
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().expect("start ctl");
        let mut stdin = process.stdin.take().expect("a pipe");
        // A command that does not read its input ends with the pipe still full of it.
        let _ = writeln!(stdin, "{input}");
        drop(stdin);
        process.wait_with_output().expect("the end of ctl")
    }

    /// The status and the whole answer of a GET on the operations port.
    pub fn http_get(&self, path: &str) -> std::io::Result<(u16, String)> {
        let mut socket = TcpStream::connect(self.operations)?;
        socket.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(socket, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer)?;
        let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
        Ok((status, answer))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
        if std::thread::panicking() {
            let log = self.log();
            let start = log.lines().count().saturating_sub(60);
            let tail: Vec<&str> = log.lines().skip(start).collect();
            eprintln!("--- the server's log, from line {start}:\n{}\n---", tail.join("\n"));
        }
    }
}

/// The server's executable: the one built with these tests, or what `WAYSTATION_BINARY` names, to try
/// a release build.
pub fn binary() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let other = std::env::var_os("WAYSTATION_BINARY");
        other.map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_waystation")), PathBuf::from)
    })
}

/// Ports below those that the system gives to outgoing connections, so that no client takes one
/// while its server restarts; each test process starts looking at a place of its own.
fn free_addresses<const N: usize>() -> [SocketAddr; N] {
    const FIRST: u16 = 16_000;
    const COUNT: u16 = 15_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let offset = u16::try_from(std::process::id() % 1_000).expect("below 1000") * 15;
    [(); N].map(|()| {
        loop {
            let port = FIRST + (offset + NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
            let address = SocketAddr::from(([127, 0, 0, 1], port));
            if TcpListener::bind(address).is_ok() {
                return address;
            }
        }
    })
}
