//! The texts of the shapes. Tests in `cli` validate them with the real parser.

use super::{Answers, Database, Shape};
use crate::release::Version;

fn answers(shape: Shape, database: Database) -> Answers {
    Answers {
        shape,
        version: Version::parse("4.6.0").expect("a version"),
        domain: "example.com".to_owned(),
        user: "deploy".to_owned(),
        source: "https://files.example.com/v{version}".to_owned(),
        digests: Vec::new(),
        java_home: "/opt/java/jdk-21".to_owned(),
        database,
        database_host: "db.example.com".to_owned(),
        addresses: vec!["10.0.0.1".to_owned()],
        secrets: "secrets".to_owned(),
    }
}

#[test]
fn template_lists_open_tasks() {
    let text = answers(Shape::Ha, Database::Mysql).inventory();
    for wanted in ["replace the zeros", "192.0.2.", "secrets/apim_db", "`driver`", "10.0.0.1"] {
        assert!(text.contains(wanted), "{wanted}\n{text}");
    }
    let text = answers(Shape::AllInOne, Database::Files).inventory();
    assert!(!text.contains("databases:") && !text.contains("secrets/apim_db"), "{text}");
}

#[test]
fn template_snapshots() {
    insta::assert_snapshot!("ha", answers(Shape::Ha, Database::Mysql).inventory());
    insta::assert_snapshot!(
        "production-sandbox",
        answers(Shape::ProductionSandbox, Database::Postgresql).inventory()
    );
}

#[test]
fn ambiguous_scalars_are_quoted() {
    for (text, written) in [
        ("a.b", "a.b"),
        ("10", "\"10\""),
        ("a: b", "\"a: b\""),
        ("v{version}", "\"v{version}\""),
        ("yes", "\"yes\""),
        ("a\"b", "\"a\\\"b\""),
        ("*x", "\"*x\""),
    ] {
        assert_eq!(super::text::scalar(text), written);
    }
}
