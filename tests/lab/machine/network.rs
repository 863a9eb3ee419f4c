//! The network of the lab: a bridge on a subnet that no packet can leave, and a namespace with one link
//! per host.

use std::net::Ipv4Addr;

use super::LabError;
use super::command::run;
use super::topology::Host;

/// The subnet of every lab, routed only to its bridge.
pub const SUBNET: &str = "10.77.0.0/24";
/// The address of this machine in the lab.
pub const BRIDGE_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

const BRIDGE: &str = "apimlab0";
const NAMESPACE: &str = "apim-lab-";
/// A lower priority than the routes of links, so that it is used only if the bridge has none.
const BLACKHOLE_METRIC: &str = "4000000";

/// Returns the address with this last octet.
pub(super) fn address(last: u8) -> Ipv4Addr {
    let [a, b, c, _] = BRIDGE_ADDRESS.octets();
    Ipv4Addr::new(a, b, c, last)
}

/// Returns the path of the host's network namespace.
pub(super) fn namespace_path(host: &str) -> String {
    format!("/run/netns/{NAMESPACE}{host}")
}

/// Returns the inode of the network namespace of a host, if it exists.
pub(super) fn inode(host: &str) -> Option<u64> {
    std::fs::metadata(namespace_path(host)).ok().map(|about| std::os::unix::fs::MetadataExt::ino(&about))
}

fn link(host: &str) -> String {
    format!("lab-{host}")
}

/// Creates the blackhole route, then the bridge.
pub(super) fn make_bridge() -> Result<(), LabError> {
    run("ip", &["route", "replace", "blackhole", SUBNET, "metric", BLACKHOLE_METRIC])?;
    run("ip", &["link", "add", BRIDGE, "type", "bridge"])?;
    run("ip", &["address", "add", &format!("{BRIDGE_ADDRESS}/24"), "dev", BRIDGE])?;
    run("ip", &["link", "set", BRIDGE, "up"])?;
    Ok(())
}

/// Creates the host's namespace and its link to the bridge.
pub(super) fn add_host(host: &Host) -> Result<(), LabError> {
    let space = format!("{NAMESPACE}{}", host.name);
    let link = link(&host.name);
    run("ip", &["netns", "add", &space])?;
    run("ip", &["link", "add", &link, "type", "veth", "peer", "name", "eth0", "netns", &space])?;
    run("ip", &["link", "set", &link, "master", BRIDGE, "up"])?;
    run("ip", &["-n", &space, "address", "add", &format!("{}/24", host.address), "dev", "eth0"])?;
    run("ip", &["-n", &space, "link", "set", "lo", "up"])?;
    run("ip", &["-n", &space, "link", "set", "eth0", "up"])?;
    Ok(())
}

/// Connects or disconnects the link of the host at the bridge. Addresses and connections are kept,
/// packets are dropped.
pub(super) fn set_link(host: &Host, connected: bool) -> Result<(), LabError> {
    run("ip", &["link", "set", &link(&host.name), if connected { "up" } else { "down" }])?;
    Ok(())
}

/// Removes the namespaces, the bridge, and finally the route.
pub(super) fn remove_all() -> Result<(), LabError> {
    if let Ok(entries) = std::fs::read_dir("/run/netns") {
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(NAMESPACE) {
                // Links are removed with their namespace, but not at once, so this removes them first.
                if let Some(host) = name.strip_prefix(NAMESPACE) {
                    drop(run("ip", &["link", "delete", &link(host)]));
                }
                run("ip", &["netns", "delete", &name])?;
            }
        }
    }
    if std::path::Path::new("/sys/class/net").join(BRIDGE).exists() {
        run("ip", &["link", "delete", BRIDGE])?;
    }
    if let Ok(routes) = run("ip", &["route", "show", "type", "blackhole"])
        && routes.contains(SUBNET)
    {
        run("ip", &["route", "delete", "blackhole", SUBNET, "metric", BLACKHOLE_METRIC])?;
    }
    Ok(())
}
