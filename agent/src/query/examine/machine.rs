//! The machine as its kernel reports it: processor, load, memory, addresses, file systems.

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;

use apim_protocol::observation::{Disk, Machine};
use apim_protocol::value::AbsPath;

use crate::probe::clock::since_boot;
use crate::probe::text::{harmless, shortened};
use crate::system::{Program, System};

/// The most file systems.
const MOST_DISKS: usize = 64;
/// The most addresses.
const MOST_ADDRESSES: usize = 64;

/// Returns what can be read; what cannot stays empty.
pub(super) fn machine(system: &System) -> Machine {
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let bytes = |key: &str| kibibytes(&memory, key).unwrap_or(0).saturating_mul(1024);
    Machine {
        system: os_name(system),
        processor: processor(&fs::read_to_string("/proc/cpuinfo").unwrap_or_default()),
        uptime_secs: since_boot().as_secs(),
        load_hundredths: load(&fs::read_to_string("/proc/loadavg").unwrap_or_default()),
        memory_available_bytes: bytes("MemAvailable:"),
        swap_bytes: (bytes("SwapTotal:"), bytes("SwapFree:")),
        addresses: addresses(
            &fs::read_to_string("/proc/net/fib_trie").unwrap_or_default(),
            &fs::read_to_string("/proc/net/if_inet6").unwrap_or_default(),
        ),
        disks: disks(&fs::read_to_string("/proc/self/mounts").unwrap_or_default()),
        zone: zone(system),
    }
}

fn os_name(system: &System) -> String {
    let read = |path| system.read(&AbsPath::parse(path).ok()?, 64 * 1024).ok()?;
    let text = read("/etc/os-release").or_else(|| read("/usr/lib/os-release")).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    word(name.unwrap_or_default().trim().trim_matches(['"', '\'']))
}

fn word(text: &str) -> String {
    shortened(&harmless(text.as_bytes()), 100)
}

fn kibibytes(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key))?.split_whitespace().next()?.parse().ok()
}

/// x86 says `model name`; others say nothing of the kind.
fn processor(text: &str) -> String {
    let name = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    name.map(|(_, name)| word(name.trim())).unwrap_or_default()
}

fn load(text: &str) -> [u32; 3] {
    let mut numbers = text.split_whitespace().map(|number| {
        let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
        let (whole, part): (u32, u32) = (whole.parse().unwrap_or(0), part.parse().unwrap_or(0));
        whole.saturating_mul(100).saturating_add(part.min(99))
    });
    [(); 3].map(|()| numbers.next().unwrap_or(0))
}

/// The kernel's routing table marks this host's own addresses as `LOCAL`; those of IPv6 are in a list of their own.
fn addresses(routes: &str, six: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut last = "";
    for line in routes.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address;
        } else if line.starts_with("/32 host LOCAL")
            && last.parse::<Ipv4Addr>().is_ok_and(|address| !address.is_loopback())
            && !found.iter().any(|known| known == last)
        {
            found.push(last.to_owned());
        }
    }
    for line in six.lines() {
        let mut fields = line.split_whitespace();
        let (address, scope) = (fields.next().unwrap_or_default(), fields.nth(2));
        // 00: reachable from everywhere; not those of one link or of the host itself
        if let (Ok(number), Some("00")) = (u128::from_str_radix(address, 16), scope) {
            found.push(Ipv6Addr::from(number).to_string());
        }
    }
    found.truncate(MOST_ADDRESSES);
    found
}

/// The root, and everything that lies on a device; each device once.
fn disks(mounts: &str) -> Vec<Disk> {
    let mut seen = Vec::new();
    let mut disks = Vec::new();
    for line in mounts.lines() {
        let mut fields = line.split(' ');
        let (Some(device), Some(folder), Some(kind)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        if !device.starts_with("/dev/") && folder != "/" {
            continue;
        }
        let place = Path::new(folder);
        let (Ok(stat), Ok(room)) = (rustix::fs::stat(place), rustix::fs::statvfs(place)) else { continue };
        // A file that is mounted over another one is not a disk.
        if room.f_blocks == 0 || !place.is_dir() || seen.contains(&stat.st_dev) {
            continue;
        }
        seen.push(stat.st_dev);
        disks.push(Disk {
            folder: word(folder),
            kind: word(kind),
            bytes: room.f_blocks.saturating_mul(room.f_frsize),
            free_bytes: room.f_bavail.saturating_mul(room.f_frsize),
        });
    }
    disks.truncate(MOST_DISKS);
    disks
}

/// Returns how far the host's clock is from UTC, such as `+0200`, from its own `date`.
pub(crate) fn zone(system: &System) -> String {
    let program = Program { timeout_secs: 5, ..Program::new(["date", "+%z"]) };
    let said = system.run(&program).map(|output| output.stdout).unwrap_or_default();
    let said = said.trim();
    let is_zone = said.len() == 5 && said.starts_with(['+', '-']);
    if is_zone { word(said) } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_writes_is_understood() {
        assert_eq!(load("0.52 1.5 12.00 2/345 6789\n"), [52, 105, 1200]);
        assert_eq!(load(""), [0; 3]);
        assert_eq!(
            processor("vendor_id: x\nmodel name\t: Some CPU @ 2 GHz\nmodel name\t: other\n"),
            "Some CPU @ 2 GHz"
        );
        assert_eq!(kibibytes("MemTotal: 8 kB\nMemAvailable:  5 kB\n", "MemAvailable:"), Some(5));
    }

    #[test]
    fn own_addresses_are_listed_once_without_loopback() {
        let routes = "Main:\n  |-- 10.0.0.0\n     /24 link UNICAST\n  |-- 10.0.0.5\n     /32 host LOCAL\n  |-- 10.0.0.255\n     \
                      /32 link BROADCAST\n  |-- 127.0.0.1\n     /32 host LOCAL\nLocal:\n  |-- 10.0.0.5\n     /32 host LOCAL\n";
        let six = "20010db8000000000000000000000001 02 40 00 80 eth0\nfe800000000000000000000000000001 02 40 20 80 eth0\n";
        assert_eq!(addresses(routes, six), ["10.0.0.5", "2001:db8::1"]);
    }

    #[test]
    fn this_machine_has_a_root() {
        let disks = disks(&fs::read_to_string("/proc/self/mounts").unwrap());
        assert!(disks.iter().any(|disk| disk.folder == "/" && disk.bytes > disk.free_bytes), "{disks:?}");
    }
}
