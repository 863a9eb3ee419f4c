//! Kernel files whose text is read.

/// The type of container, if systemd detected one.
pub(super) const CONTAINER: &str = "/run/systemd/container";
/// Whether `SELinux` is available and enforcing (`1`).
pub(super) const SELINUX: &str = "/sys/fs/selinux/enforce";
/// Whether `AppArmor` is enabled (`Y`).
pub(super) const APPARMOR: &str = "/sys/module/apparmor/parameters/enabled";
/// The upper limit of open files per process.
pub(super) const NR_OPEN: &str = "/proc/sys/fs/nr_open";
/// The limit of open files of all processes.
pub(super) const FILE_MAX: &str = "/proc/sys/fs/file-max";
/// The limit of threads and processes.
pub(super) const THREADS_MAX: &str = "/proc/sys/kernel/threads-max";
/// The largest process id.
pub(super) const PID_MAX: &str = "/proc/sys/kernel/pid_max";
/// Available entropy in bits.
pub(super) const ENTROPY: &str = "/proc/sys/kernel/random/entropy_avail";
/// The ephemeral port range.
pub(super) const PORT_RANGE: &str = "/proc/sys/net/ipv4/ip_local_port_range";
/// Ports that are excluded from the ephemeral range.
pub(super) const RESERVED: &str = "/proc/sys/net/ipv4/ip_local_reserved_ports";

/// Whether `SELinux` allows a web server to connect to other hosts (`1 1`).
pub(super) const WEB_CONNECTS: &str = "/sys/fs/selinux/booleans/httpd_can_network_connect";

/// All of them.
pub(super) const TEXTS: [&str; 11] = [
    WEB_CONNECTS,
    CONTAINER,
    SELINUX,
    APPARMOR,
    NR_OPEN,
    FILE_MAX,
    THREADS_MAX,
    PID_MAX,
    ENTROPY,
    PORT_RANGE,
    RESERVED,
];
