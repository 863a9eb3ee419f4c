//! Archives that are refused, and leave nothing.

use super::*;

fn refused(bench: &Bench, archive: Archive, why: &str, because: &str) {
    let victim = bench.real_itself("/victim");
    fs::create_dir_all(&victim).unwrap();
    let before = bench.snapshot();
    let Outcome::Failed(failure) = bench.run(&Operation::Archive(archive), Mode::Apply) else {
        panic!("an archive {why} was unpacked")
    };
    assert_eq!(bench.snapshot(), before, "an archive {why} left a trace: {failure:?}");
    let causes = failure.causes.join(": ");
    assert!(causes.contains(because) && failure.hint.is_some(), "an archive {why}: {failure:?}");
}

#[test]
fn evil_zips_leave_nothing() {
    for bench in Bench::both() {
        let link = |name, target| raw(name, 0o120_777, target);
        let long = String::leak("a/".repeat(700) + "x");
        let corpus: Vec<(&str, &str, Vec<Raw>)> = vec![
            ("that climbs", "holds `..`", vec![raw("a/../../victim/x", 0o644, "evil")]),
            ("that climbs at its end", "holds `..`", vec![raw("a/..", 0o644, "evil")]),
            ("with an absolute name", "is absolute", vec![raw("/victim/x", 0o644, "evil")]),
            ("with an absolute link", "may lie outside", vec![raw("a/x", 0o644, ""), link("a/l", "/victim")]),
            (
                "with a link that climbs",
                "may lie outside",
                vec![raw("a/x", 0o644, ""), link("a/l", "../../victim")],
            ),
            (
                "with a link that climbs behind a name",
                "may lie outside",
                vec![raw("a/b/x", 0o644, ""), link("a/b/l", "x/../../../v")],
            ),
            (
                "with a file through a link",
                "twice",
                vec![link("a/l", "b"), raw("a/l/x", 0o644, "evil"), raw("a/b/y", 0o644, "")],
            ),
            ("with a file over a link", "same name", vec![link("a/l", "b"), raw("a/l", 0o644, "evil")]),
            ("with a name twice", "same name", vec![raw("a/x", 0o644, "1"), raw("a/x", 0o644, "2")]),
            (
                "with a name twice in other words",
                "twice",
                vec![raw("a/x", 0o644, "1"), raw("a/./x", 0o644, "2")],
            ),
            (
                "with a file that is a folder too",
                "twice",
                vec![raw("a/x", 0o644, "1"), raw("a/x/y", 0o644, "2")],
            ),
            ("with two tops", "no single top", vec![raw("a/x", 0o644, "1"), raw("b/x", 0o644, "2")]),
            ("with a file at its top", "lies at its top", vec![raw("x", 0o644, "1")]),
            ("with a device", "never unpacked", vec![raw("a/null", 0o020_666, "")]),
            ("with a pipe", "never unpacked", vec![raw("a/pipe", 0o010_666, "")]),
            ("with a NUL in a name", "control characters", vec![raw("a/x\0y", 0o644, "1")]),
            ("with an endless name", "longer than 1,024", vec![raw(long, 0o644, "1")]),
            (
                "with too many entries",
                "more than 100 entries",
                (0..101).map(|n| raw(String::leak(format!("a/{n}")), 0o644, "")).collect(),
            ),
            (
                "that says it is too big",
                "are allowed",
                vec![Raw { says: Some(2 << 20), ..raw("a/x", 0o644, "1") }],
            ),
            (
                "that is a bomb and lies about it",
                "",
                vec![Raw { deflated: true, says: Some(10), ..raw("a/x", 0o644, &"0".repeat(3 << 20)) }],
            ),
        ];
        for (why, because, entries) in corpus {
            refused(&bench, desired(&bench, Format::Zip, &zip(&entries)), why, because);
        }
        let whole = good_zip();
        for cut in (0..whole.len()).step_by(97) {
            refused(&bench, desired(&bench, Format::Zip, &whole[..cut]), "cut short", "cannot be read");
        }
    }
}

#[test]
fn evil_tars_leave_nothing() {
    for bench in Bench::both() {
        use EntryType as E;
        let corpus: Vec<(&str, &str, Vec<RawTar<'_>>)> = vec![
            ("that climbs", "holds `..`", vec![(E::Regular, "a/../../victim/x", "evil", 0o644)]),
            ("with an absolute name", "is absolute", vec![(E::Regular, "/victim/x", "evil", 0o644)]),
            ("with a link out", "may lie outside", vec![(E::Symlink, "a/l", "../../victim", 0o777)]),
            ("with an absolute link", "may lie outside", vec![(E::Symlink, "a/l", "/etc/passwd", 0o777)]),
            (
                "written through a link",
                "twice",
                vec![(E::Symlink, "a/l", "b", 0o777), (E::Regular, "a/l/x", "evil", 0o644)],
            ),
            ("with a hard link out", "may lie outside", vec![(E::Link, "a/l", "../../etc/passwd", 0o644)]),
            ("with an absolute hard link", "may lie outside", vec![(E::Link, "a/l", "/etc/passwd", 0o644)]),
            (
                "with a hard link to a link",
                "may lie outside",
                vec![(E::Symlink, "a/s", "x", 0o777), (E::Link, "a/l", "a/s", 0o644)],
            ),
            (
                "with a hard link to nothing",
                "may lie outside",
                vec![(E::Link, "a/l", "a/later", 0o644), (E::Regular, "a/later", "", 0o644)],
            ),
            ("with a device", "never unpacked", vec![(E::Char, "a/null", "", 0o666)]),
            ("with a pipe", "never unpacked", vec![(E::Fifo, "a/pipe", "", 0o666)]),
            ("with a sparse file", "", vec![(E::GNUSparse, "a/hole", "", 0o666)]),
            (
                "with a name twice",
                "twice",
                vec![(E::Regular, "a/x", "1", 0o644), (E::Regular, "a/x", "2", 0o644)],
            ),
            (
                "with two tops",
                "no single top",
                vec![(E::Regular, "a/x", "1", 0o644), (E::Regular, "b/x", "2", 0o644)],
            ),
        ];
        for (why, because, entries) in corpus {
            refused(&bench, desired(&bench, Format::TarGz, &tar_gz(&entries)), why, because);
        }
    }
}

#[test]
fn tars_that_would_fill_memory_or_disk_are_stopped() {
    for bench in Bench::both() {
        let mut name = tar::Header::new_gnu();
        name.set_entry_type(EntryType::GNULongName);
        name.set_size(1 << 40);
        name.set_cksum();
        let mut endless = name.as_bytes().to_vec();
        endless.resize(8 << 20, b'a');
        refused(
            &bench,
            desired(&bench, Format::TarGz, &gz(&endless)),
            "with an endless name",
            "longer than 1 MiB",
        );
        let big = "0".repeat(2 << 20);
        let bytes = tar_gz(&[(EntryType::Regular, "a/x", &big, 0o644)]);
        refused(&bench, desired(&bench, Format::TarGz, &bytes), "that is too big", "are allowed");
        let nothing = desired(&bench, Format::TarGz, b"not a gzip at all");
        refused(&bench, nothing, "that is none", "cannot be read");
    }
}

#[test]
fn planted_link_is_not_followed() {
    for bench in Bench::both() {
        bench.write("/victim/file", "safe");
        fs::create_dir_all(bench.real("/opt")).unwrap();
        symlink("/victim", bench.real_itself("/opt/app.unpack-evil")).unwrap();
        bench.assert_converges(&Operation::Archive(desired(&bench, Format::Zip, &good_zip())));
        assert_eq!(bench.text("/victim/file"), "safe");
    }
}

#[test]
fn links_are_judged_by_where_they_can_lead() {
    let at = |path: &str| crate::system::Inside::parse(path.as_bytes()).unwrap().unwrap();
    for (path, target, fine) in [
        ("a/b/l", "../x", true),
        ("a/b/l", "../../x", true),
        ("a/b/l", "../../../x", false),
        ("a/b/l", "c/../x", false),
        ("l", "x/y", true),
        ("l", "..", false),
        ("l", "/x", false),
        ("l", "", false),
    ] {
        assert_eq!(at(path).holds_link(target), fine, "{path} -> {target}");
    }
}

#[test]
fn a_damaged_byte_is_noticed() {
    for bench in Bench::both() {
        let mut bytes = good_zip();
        let at = bytes.windows(12).position(|part| part == b"echo prepare").unwrap();
        bytes[at] ^= 1;
        refused(&bench, desired(&bench, Format::Zip, &bytes), "with a damaged byte", "hecksum");
    }
}
