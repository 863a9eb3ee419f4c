//! Archives good and evil: what is unpacked is whole and exact, and nothing evil leaves a trace.

use apim_protocol::operation::archive::Format;
use apim_protocol::value::Owner;
use apim_protocol::value::Sha256;
use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;

use apim_protocol::operation::{Mode, Operation};
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};
use tar::EntryType;

use super::*;
use crate::operation::testing::Bench;

mod arriving;
mod refused;
mod renew;

/// One raw zip entry, with whatever we want to say in it.
struct Raw {
    name: &'static [u8],
    mode: u32,
    bytes: Vec<u8>,
    deflated: bool,
    says: Option<u32>,
    /// Whether its sizes stand behind its data.
    sizes_follow: bool,
}

fn raw(name: &'static str, mode: u32, text: &str) -> Raw {
    Raw { name: name.as_bytes(), mode, bytes: text.into(), deflated: false, says: None, sizes_follow: false }
}

/// Builds a zip by hand: zip writers refuse most of what an attacker would do.
fn zip(entries: &[Raw]) -> Vec<u8> {
    let (mut out, mut central) = (Vec::new(), Vec::new());
    for entry in entries {
        let mut crc = flate2::Crc::new();
        crc.update(&entry.bytes);
        let data = if entry.deflated {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(&entry.bytes).unwrap();
            encoder.finish().unwrap()
        } else {
            entry.bytes.clone()
        };
        let size = entry.says.unwrap_or(u32::try_from(entry.bytes.len()).unwrap());
        let mut numbers = Vec::new();
        numbers.extend(crc.sum().to_le_bytes());
        numbers.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
        numbers.extend(size.to_le_bytes());
        let head = |numbers: &[u8]| {
            let mut head = Vec::new();
            head.extend(20_u16.to_le_bytes());
            head.extend(if entry.sizes_follow { 0x0808_u16 } else { 0x0800 }.to_le_bytes());
            head.extend(if entry.deflated { 8_u16 } else { 0 }.to_le_bytes());
            head.extend([0, 0, 0x21, 0x50]);
            head.extend(numbers);
            head.extend(u16::try_from(entry.name.len()).unwrap().to_le_bytes());
            head.extend(0_u16.to_le_bytes());
            head
        };
        let common = head(&numbers);
        let offset = u32::try_from(out.len()).unwrap();
        out.extend(b"PK\x03\x04");
        out.extend(if entry.sizes_follow { head(&[0; 12]) } else { common.clone() });
        out.extend(entry.name);
        out.extend(&data);
        if entry.sizes_follow {
            out.extend(b"PK\x07\x08");
            out.extend(&numbers);
        }
        central.extend(b"PK\x01\x02\x14\x03");
        central.extend(&common);
        central.extend([0; 6]);
        central.extend((entry.mode << 16).to_le_bytes());
        central.extend(offset.to_le_bytes());
        central.extend(entry.name);
    }
    let start = u32::try_from(out.len()).unwrap();
    out.extend(&central);
    out.extend(b"PK\x05\x06\0\0\0\0");
    let count = u16::try_from(entries.len()).unwrap().to_le_bytes();
    out.extend(count);
    out.extend(count);
    out.extend(u32::try_from(central.len()).unwrap().to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0, 0]);
    out
}

/// Kind, name, link target or content, mode.
type RawTar<'a> = (EntryType, &'a str, &'a str, u32);

/// Builds a gzipped tar.
fn tar_gz(entries: &[RawTar<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    for (kind, name, text, mode) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(*mode);
        let is_link = matches!(kind, EntryType::Symlink | EntryType::Link);
        header.set_size(if is_link { 0 } else { text.len() as u64 });
        let raw = header.as_mut_bytes();
        raw[..name.len()].copy_from_slice(name.as_bytes());
        if is_link {
            raw[157..157 + text.len()].copy_from_slice(text.as_bytes());
        }
        header.set_cksum();
        out.extend(header.as_bytes());
        if !is_link {
            out.extend(text.as_bytes());
            out.resize(out.len().next_multiple_of(512), 0);
        }
    }
    out.resize(out.len() + 1024, 0);
    gz(&out)
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn desired(bench: &Bench, format: Format, bytes: &[u8]) -> Archive {
    fs::create_dir_all(bench.real("/opt")).unwrap();
    Archive {
        source: Source::Pushed(bench.content(bytes)),
        format,
        destination: AbsPath::parse("/opt/app").unwrap(),
        strip_top: true,
        owner: Owner::default(),
        prepare: Vec::new(),
        max_bytes: 1 << 20,
        max_entries: 100,
    }
}

fn good_zip() -> Vec<u8> {
    let big = Raw { deflated: true, ..raw("app-1.0/big.bin", 0o100_644, &"x".repeat(300_000)) };
    zip(&[
        raw("app-1.0/", 0o040_755, ""),
        raw("app-1.0/bin/run.sh", 0o100_755, "#!/bin/sh\necho prepared > done; rm -f gone; echo all fine\n"),
        raw("app-1.0/conf/secret", 0o104_640, "x"),
        raw("app-1.0/gone", 0, ""),
        raw("app-1.0/current", 0o120_777, "conf/secret"),
        big,
    ])
}

fn prepare(output: &str) -> Prepare {
    Prepare {
        title: "make it ready".into(),
        command: Invocation { argv: vec!["sh".into(), "bin/run.sh".into()], ..Invocation::default() },
        output_holds: Some(output.into()),
        then_present: vec!["done".into()],
        then_absent: vec!["gone".into()],
    }
}

#[test]
fn a_zip_is_unpacked_prepared_and_then_left_alone() {
    for bench in Bench::both() {
        let archive =
            Archive { prepare: vec![prepare("all fine")], ..desired(&bench, Format::Zip, &good_zip()) };
        fs::create_dir_all(bench.real_itself("/opt/app.unpack-0123/deep")).unwrap();
        bench.assert_converges(&Operation::Archive(archive));
        assert_eq!(bench.text("/opt/app/done"), "prepared\n");
        assert_eq!(bench.text("/opt/app/big.bin").len(), 300_000);
        assert_eq!(bench.text("/opt/app/current"), "x");
        let modes = ["/opt/app", "/opt/app/bin", "/opt/app/bin/run.sh", "/opt/app/conf/secret"]
            .map(|p| bench.mode(p));
        assert_eq!(modes, [0o755, 0o755, 0o755, 0o640], "no setuid, modes kept");
        assert!(!bench.real("/opt/app/gone").exists());
        assert_eq!(fs::read_dir(bench.real("/opt")).unwrap().count(), 1, "leftovers are swept");
    }
}

#[test]
fn a_prepare_command_that_only_says_it_worked_is_a_failure() {
    for bench in Bench::both() {
        let archive =
            Archive { prepare: vec![prepare("never said")], ..desired(&bench, Format::Zip, &good_zip()) };
        let Outcome::Failed(failure) = bench.run(&Operation::Archive(archive), Mode::Apply) else { panic!() };
        assert!(failure.what.contains("never said") && failure.log == ["all fine"], "{failure:?}");
        assert_eq!(fs::read_dir(bench.real("/opt")).unwrap().count(), 0, "nothing is left");
    }
}

#[test]
fn a_tar_is_unpacked_with_links_of_both_kinds() {
    for bench in Bench::both() {
        let bytes = tar_gz(&[
            (EntryType::Directory, "./jdk/", "", 0o755),
            (EntryType::Regular, "jdk/bin/java", "java", 0o755),
            (EntryType::Link, "jdk/bin/java2", "jdk/bin/java", 0o755),
            (EntryType::Symlink, "jdk/legal/a", "../bin/java", 0o777),
            (EntryType::Regular, "jdk/ro/file", "r", 0o444),
            (EntryType::Directory, "jdk/ro", "", 0o555),
        ]);
        bench.assert_converges(&Operation::Archive(desired(&bench, Format::TarGz, &bytes)));
        for path in ["/opt/app/bin/java", "/opt/app/bin/java2", "/opt/app/legal/a"] {
            assert_eq!(bench.text(path), "java");
        }
        assert_eq!((bench.mode("/opt/app/ro"), bench.mode("/opt/app/ro/file")), (0o755, 0o644));
    }
}

#[test]
fn owner_is_given_to_everything() {
    for bench in Bench::both() {
        if !bench.system.is_privileged() {
            return;
        }
        bench.write("/etc/passwd", "app:x:4711:4712::/:/bin/false\n");
        let owner = Owner { user: Some("app".into()), group: None };
        let archive = Archive { owner, ..desired(&bench, Format::Zip, &good_zip()) };
        bench.assert_converges(&Operation::Archive(archive));
        for path in ["/opt/app", "/opt/app/bin", "/opt/app/bin/run.sh", "/opt/app/big.bin"] {
            assert_eq!(bench.owner(path).0, 4711, "{path}");
        }
    }
}

#[test]
fn what_is_not_ours_is_never_touched() {
    for bench in Bench::both() {
        let archive = Operation::Archive(desired(&bench, Format::Zip, &good_zip()));
        bench.write("/opt/app/mine", "precious");
        for mode in [Mode::Check, Mode::Apply] {
            let Outcome::Failed(failure) = bench.run(&archive, mode) else { panic!() };
            assert!(failure.what.contains("was not unpacked by"), "{failure:?}");
        }
        assert_eq!(bench.text("/opt/app/mine"), "precious");
        let other = format!("{{\"sha256\":\"{}\",\"finished\":1}}", Sha256::of(b"other"));
        bench.write("/opt/app/.apim-deploy.json", &other);
        let Outcome::Failed(failure) = bench.run(&archive, Mode::Apply) else { panic!() };
        assert!(failure.what.contains("contains the archive"), "{failure:?}");
        assert!(failure.hint.unwrap().contains("side by side"));
    }
}

#[test]
fn an_empty_folder_at_the_destination_is_taken() {
    for bench in Bench::both() {
        let archive = Operation::Archive(desired(&bench, Format::Zip, &good_zip()));
        fs::create_dir(bench.real("/opt/app")).unwrap();
        bench.assert_converges(&archive);
    }
}
