//! An unpacked distribution and its processes, which end with the test.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use apim_tests::distributions::Distributions;
use apim_tests::poll;
use rustix::process::{Pid, Signal, kill_process_group};

/// The time limit for everything in these tests.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// The marker of a started server.
pub(crate) const MARKER: &str = "WSO2 Carbon started in";

static NODES: AtomicU16 = AtomicU16::new(0);

/// An unpacked distribution.
pub(crate) struct Node {
    folder: tempfile::TempDir,
    pub(crate) home: PathBuf,
    pub(crate) address: Ipv4Addr,
    script: &'static str,
    java: PathBuf,
    groups: Vec<Pid>,
}

/// A running start script. Its process group is killed when the node is dropped.
pub(crate) struct Script(std::process::Child);

impl Script {
    /// Waits until it ends.
    pub(crate) fn wait(&mut self) -> std::io::Result<std::process::ExitStatus> {
        self.0.wait()
    }
}

impl Node {
    /// Unpacks a distribution and gives it its own address.
    pub(crate) fn unpack(zip: &str, script: &'static str) -> Node {
        let distributions = Distributions::ready();
        let folder = tempfile::Builder::new().prefix("standin-").tempdir().expect("a folder");
        let releases = folder.path().join("component/releases");
        let archive = File::open(distributions.folder().join(zip)).expect("the zip is built");
        zip::ZipArchive::new(archive)
            .and_then(|mut zip| zip.extract(&releases))
            .expect("an unpacked archive");
        let jdk = File::open(distributions.folder().join("jdk-stand-in.tar.gz")).expect("the JDK is built");
        tar::Archive::new(flate2::read::GzDecoder::new(jdk))
            .unpack(folder.path())
            .expect("an unpacked archive");
        let home = releases.join(zip.trim_end_matches(".zip"));
        let number = NODES.fetch_add(1, Ordering::SeqCst).to_be_bytes();
        let pid = std::process::id().to_be_bytes();
        let address = Ipv4Addr::new(127, 64 + pid[2] % 64, pid[3], 1 + number[1]);
        let node = Node {
            java: folder.path().join("jdk-21.0.0"),
            home,
            folder,
            address,
            script,
            groups: Vec::new(),
        };
        node.switches("");
        node
    }

    /// Sets more switches than the address and intervals.
    pub(crate) fn switches(&self, text: &str) {
        let text = format!("bind = \"{}\"\nstartup_secs = 0.1\nwarn_every_secs = 0.2\n{text}", self.address);
        fs::write(self.folder.path().join("component/standin.toml"), text).expect("the switches");
    }

    /// Replaces the configuration.
    pub(crate) fn configure(&self, toml: &str) {
        fs::write(self.path("repository/conf/deployment.toml"), toml).expect("the configuration");
    }

    /// Appends to the configuration.
    pub(crate) fn configure_more(&self, toml: &str) {
        let text = self.read("repository/conf/deployment.toml");
        self.configure(&format!("{text}\n{toml}"));
    }

    /// A path below the home folder.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.home.join(path)
    }

    /// The text of a file below the home folder, or empty if it does not exist.
    pub(crate) fn read(&self, path: &str) -> String {
        fs::read(self.path(path))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// The server's log.
    pub(crate) fn log(&self) -> String {
        self.read("repository/logs/wso2carbon.log")
    }

    /// The output of the start script and the server in the foreground.
    pub(crate) fn console(&self) -> String {
        fs::read_to_string(self.console_path()).unwrap_or_default()
    }

    fn console_path(&self) -> PathBuf {
        self.folder.path().join("console")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("sh");
        command
            .arg(self.path("bin").join(program))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("JAVA_HOME", &self.java).current_dir("/").process_group(0);
        command
    }

    /// Runs a script of `bin/` and waits until it ends.
    pub(crate) fn run(&mut self, program: &str, words: &[&str]) -> Output {
        self.run_with(program, words, &[])
    }

    /// Runs a script of `bin/` with environment variables, and waits until it ends.
    pub(crate) fn run_with(&mut self, program: &str, words: &[&str], environment: &[(&str, &str)]) -> Output {
        let mut command = self.command(program);
        command.args(words).envs(environment.iter().copied());
        command
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        let child = command.spawn().expect("sh runs");
        self.groups.extend(Pid::from_raw(i32::try_from(child.id()).expect("a pid")));
        child.wait_with_output().expect("its exit code")
    }

    /// Runs the start script with a verb.
    pub(crate) fn verb(&mut self, verb: &str) -> Output {
        let script = self.script;
        self.run(script, &[verb])
    }

    /// Starts the server in the foreground.
    pub(crate) fn start(&mut self) -> Script {
        let console = File::create(self.console_path()).expect("a file for the console");
        let mut command = self.command(self.script);
        command
            .stdin(std::process::Stdio::null())
            .stderr(console.try_clone().expect("a second handle"))
            .stdout(console);
        let child = command.spawn().expect("sh runs");
        self.groups.extend(Pid::from_raw(i32::try_from(child.id()).expect("a pid")));
        Script(child)
    }

    /// Starts the server in the foreground and waits for the marker.
    pub(crate) fn start_up(&mut self) -> Script {
        let child = self.start();
        self.await_log(MARKER);
        child
    }

    /// Waits for a text in the log.
    pub(crate) fn await_log(&self, text: &str) {
        let found = poll::until(LIMIT, || self.log().contains(text));
        assert!(
            found,
            "`{text}` is not in the log\n--- log\n{}\n--- console\n{}",
            self.log(),
            self.console()
        );
    }

    /// The pid in the pid file.
    pub(crate) fn pid(&self) -> Option<Pid> {
        let bytes = fs::read(self.path("wso2carbon.pid")).ok()?;
        let digits: String =
            bytes.iter().take_while(|byte| byte.is_ascii_digit()).map(|byte| char::from(*byte)).collect();
        Pid::from_raw(digits.parse().ok()?)
    }

    /// The command line of the running server process.
    pub(crate) fn command_line(&self) -> Option<String> {
        let pid = self.pid()?.as_raw_nonzero();
        let bytes = fs::read(format!("/proc/{pid}/cmdline")).ok().filter(|bytes| !bytes.is_empty())?;
        Some(String::from_utf8_lossy(&bytes).replace('\0', " "))
    }

    /// Sends TERM to the server.
    pub(crate) fn terminate(&self) {
        rustix::process::kill_process(self.pid().expect("a pid file"), Signal::TERM)
            .expect("a running server");
    }

    /// Whether a port of the node is open.
    pub(crate) fn is_open(&self, port: u16) -> bool {
        TcpStream::connect((self.address, port)).is_ok()
    }

    /// Sends a GET over plain HTTP. Returns the status and the body.
    pub(crate) fn get(&self, port: u16, path: &str) -> Option<(u16, String)> {
        let stream = TcpStream::connect((self.address, port)).ok()?;
        answer(stream, path)
    }

    /// The status of the gateway's health URL.
    pub(crate) fn health(&self) -> Option<u16> {
        self.get(9763, "/api/am/gateway/v2/server-startup-healthcheck").map(|(status, _)| status)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        for group in &self.groups {
            kill_process_group(*group, Signal::KILL).ok();
        }
    }
}

/// Sends a GET on an open connection.
pub(crate) fn answer(mut stream: impl Read + Write, path: &str) -> Option<(u16, String)> {
    write!(stream, "GET {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n").ok()?;
    stream.flush().ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let status = text.get(9..12)?.parse().ok()?;
    Some((status, text.split_once("\r\n\r\n")?.1.to_owned()))
}

/// Starts a server that sends the greeting of MySQL, and answers with `error` if given. Returns its port.
pub(crate) fn database(address: Ipv4Addr, error: Option<&'static str>) -> u16 {
    let listener = TcpListener::bind(SocketAddr::from((address, 0))).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            std::thread::spawn(move || greet(&mut stream, error));
        }
    });
    port
}

/// Sends the greeting, and answers every packet.
fn greet(stream: &mut TcpStream, error: Option<&str>) {
    let mut greeting = b"\x0a5.5.5-stand-in\0\x01\0\0\0abcdefgh\0\xff\xf7\x21\x02\0\xff\x81\x15".to_vec();
    greeting.extend_from_slice(&[0; 10]);
    greeting.extend_from_slice(b"ijklmnopqrst\0mysql_native_password\0");
    drop(send(stream, 0, &greeting));
    let mut given = [0; 512];
    while stream.read(&mut given).is_ok_and(|length| length > 0) {
        let answer = match error {
            Some(text) => [b"\xff\x15\x04#28000", text.as_bytes()].concat(),
            None => vec![0; 7],
        };
        drop(send(stream, 2, &answer));
    }
}

fn send(stream: &mut TcpStream, number: u8, payload: &[u8]) -> std::io::Result<()> {
    let length = u8::try_from(payload.len()).expect("a short packet");
    stream.write_all(&[&[length, 0, 0, number], payload].concat())
}

/// Installs the JDBC driver stand-in.
pub(crate) fn install_driver(node: &Node) {
    let jar = Distributions::ready().folder().join("mysql-connector-j.jar");
    fs::copy(jar, node.path("repository/components/lib/mysql-connector-j.jar")).expect("the driver");
}

/// The configuration of `shared_db` on a server.
pub(crate) fn shared_db(address: Ipv4Addr, port: u16) -> String {
    format!(
        "[database.shared_db]\ntype = \"mysql\"\nhostname = \"{address}\"\nport = \"{port}\"\nname = \"shared_db\"\nusername = \"u\"\npassword = \"p\"\n"
    )
}

/// The configuration that all nodes have.
pub(crate) const BASE: &str = "[server]\nhostname = \"localhost\"\nserver_role = \"default\"\n\
    [user_store]\ntype = \"database_unique_id\"\n\
    [super_admin]\nusername = \"admin\"\npassword = \"admin\"\ncreate_admin_account = true\n";

/// Whether a path exists below a folder.
pub(crate) fn exists(folder: &Path, path: &str) -> bool {
    folder.join(path).exists()
}
