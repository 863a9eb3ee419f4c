//! Watches a first apply from outside: when the first node of a role is started, every node of the role
//! before must be healthy.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use apim_tests::process::processes;
use rustix::process::Pid;

use super::{ROLES, Site};

/// Plain HTTP of the servlet container, where every component returns its name.
const HTTP: u16 = 9763;

/// The name that a component returns, and the ports that it opens. Does not use the values of the
/// program, so that it finds errors in them (product documentation: "basic health checks", "default
/// ports").
const SIGNS: &[(&str, &str, &[u16])] = &[
    ("key_manager", "WSO2 API Control Plane", &[9443]),
    ("gateway", "WSO2 Universal Gateway", &[9443, 8243, 8280]),
    ("control_plane", "WSO2 API Control Plane", &[9443, 5672, 9611, 9711]),
    ("traffic_manager", "WSO2 Traffic Manager", &[9443, 5672, 9611, 9711]),
];

/// The polling interval: far below the time from the start of a process to its first log line.
const INTERVAL: Duration = Duration::from_millis(20);

/// Watches the start order.
pub(super) struct Order {
    ends: Arc<AtomicBool>,
    watcher: JoinHandle<Vec<String>>,
}

impl Order {
    /// Starts watching the cluster of `site`, where nothing is running yet.
    pub(super) fn watch(site: &Site) -> Self {
        let nodes = site.nodes();
        let address = |host: &str| site.lab.host(host).expect("a host").address;
        let roles: Vec<Watched> = ROLES
            .iter()
            .map(|(group, folder)| {
                let (_, product, ports) =
                    SIGNS.iter().find(|(known, ..)| known == group).expect("signs of every role");
                let of_role = nodes.iter().filter(|node| node.group == *group);
                let hosts = of_role.map(|node| (node.host.clone(), address(&node.host))).collect();
                Watched { group, folder, product, ports, hosts }
            })
            .collect();
        let ends = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&ends);
        let networks = site.lab.networks();
        Self { ends, watcher: std::thread::spawn(move || watch(&roles, &networks, &ended)) }
    }

    /// Ends the watch.
    ///
    /// # Panics
    /// If a role was started before every node of the role before was healthy, or was not started.
    pub(super) fn assert_kept(self) {
        self.ends.store(true, Ordering::Relaxed);
        let log = self.watcher.join().expect("the watcher");
        assert!(log.iter().all(|line| !line.contains("NOT HEALTHY")), "{log:#?}");
        assert_eq!(log.len(), ROLES.len(), "a role was not started: {log:#?}");
        for line in log {
            eprintln!("{line}");
        }
    }
}

struct Watched {
    group: &'static str,
    folder: &'static str,
    product: &'static str,
    ports: &'static [u16],
    hosts: Vec<(String, Ipv4Addr)>,
}

fn watch(roles: &[Watched], networks: &[u64], ended: &AtomicBool) -> Vec<String> {
    let mut log = Vec::new();
    let mut before: Option<&Watched> = None;
    for role in roles {
        let home = format!("-Dcarbon.home=/opt/wso2/{}/", role.folder);
        // Other labs of this machine have such processes, too.
        let is_in_lab = |pid: Pid| {
            let space = std::fs::metadata(format!("/proc/{}/ns/net", pid.as_raw_nonzero()));
            space.is_ok_and(|space| networks.contains(&space.ino()))
        };
        let runs = || processes(|line| line.contains(&home)).into_iter().any(is_in_lab);
        while !runs() {
            if ended.load(Ordering::Relaxed) {
                return log;
            }
            std::thread::sleep(INTERVAL);
        }
        let mut line = format!("{} started", role.group);
        for (host, address) in before.iter().flat_map(|role| &role.hosts) {
            let role = before.expect("a role before");
            match role.problem(*address) {
                None => line.push_str(&format!("; {host} was healthy")),
                Some(what) => line.push_str(&format!("; {host} was NOT HEALTHY: {what}")),
            }
        }
        log.push(line);
        before = Some(role);
    }
    log
}

impl Watched {
    /// Returns why a node of the role is not healthy, seen from the network.
    fn problem(&self, address: Ipv4Addr) -> Option<String> {
        let closed = self.ports.iter().find(|port| connect(address, **port).is_none());
        if let Some(port) = closed {
            return Some(format!("port {port} is closed"));
        }
        let Some(mut stream) = connect(address, HTTP) else { return Some(format!("port {HTTP} is closed")) };
        let request =
            format!("GET /services/Version HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        let mut answer = String::new();
        if stream.write_all(request.as_bytes()).is_err() || stream.read_to_string(&mut answer).is_err() {
            return Some("the HTTP port does not answer".to_owned());
        }
        let is_healthy = answer.starts_with("HTTP/1.1 200") && answer.contains(self.product);
        (!is_healthy).then(|| format!("answer {answer:?}"))
    }
}

fn connect(address: Ipv4Addr, port: u16) -> Option<TcpStream> {
    let limit = Duration::from_secs(2);
    let stream = TcpStream::connect_timeout(&SocketAddr::from((address, port)), limit).ok()?;
    stream.set_read_timeout(Some(limit)).ok()?;
    Some(stream)
}
