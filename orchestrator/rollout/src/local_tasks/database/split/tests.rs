//! Splitting scripts into statements.

use super::*;

fn texts(script: &str, dialect: Dialect) -> Vec<String> {
    split(script, dialect).unwrap().into_iter().map(|statement| statement.text).collect()
}

#[test]
fn semicolons_in_quotes_and_comments_are_ignored() {
    let script = "-- one; two\nCREATE TABLE a (b VARCHAR(5) DEFAULT ';'); # three;\n/* four; */ INSERT INTO a VALUES ('it''s; \\'so', \"x;\\\"\");\n";
    assert_eq!(
        texts(script, Dialect::Mysql),
        ["CREATE TABLE a (b VARCHAR(5) DEFAULT ';')", "INSERT INTO a VALUES ('it''s; \\'so', \"x;\\\"\")"]
    );
}

#[test]
fn procedures_end_at_their_own_delimiter() {
    let script = "DROP PROCEDURE IF EXISTS p;\n\nDELIMITER $$\nCREATE PROCEDURE p()\nBEGIN\n  SELECT 1; -- ; $ \n  SELECT 'a$$b';\nEND$$\nDELIMITER ;\nCALL p();\ndelimiter //\nCREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW BEGIN SET NEW.b = 1; END //\nDELIMITER ;\nSELECT 2";
    let found = split(script, Dialect::Mysql).unwrap();
    let words: Vec<String> = found.iter().map(|statement| statement.words(2)).collect();
    assert_eq!(words, ["DROP PROCEDURE", "CREATE PROCEDURE", "CALL P", "CREATE TRIGGER", "SELECT 2"]);
    assert_eq!(found[1].text.matches("SELECT").count(), 2);
    assert!(found[1].text.ends_with("END"), "{}", found[1].text);
    assert_eq!(found.iter().map(|statement| statement.line).collect::<Vec<_>>(), [1, 4, 10, 12, 14]);
}

#[test]
fn comments_are_recognized_like_the_clients_do() {
    assert_eq!(texts("SELECT 5--1;", Dialect::Mysql), ["SELECT 5--1"], "two dashes without white space");
    assert_eq!(texts("SELECT 5 --1;\n;", Dialect::Postgresql), ["SELECT 5 --1;"]);
    assert_eq!(
        texts("/*!40101 SET NAMES utf8 */;\n/* no */;\n-- no\n;", Dialect::Mysql),
        ["/*!40101 SET NAMES utf8 */"]
    );
    assert_eq!(texts("/* a /* b; */ c; */ SELECT 1;", Dialect::Postgresql), ["SELECT 1"]);
    assert_eq!(texts("", Dialect::Mysql), Vec::<String>::new());
    assert_eq!(texts("\u{feff}SELECT 1", Dialect::Mysql), ["SELECT 1"]);
}

#[test]
fn postgresql_quotes_with_dollars_and_backslashes() {
    let script = "CREATE FUNCTION f() RETURNS trigger AS $body$ BEGIN NEW.a := 'x;y'; RETURN NEW; END; $body$ LANGUAGE plpgsql;\n\
                  SELECT '\\', E'a\\';b', a$b FROM \"t;\"; SELECT $1; SELECT $$;$$";
    assert_eq!(
        texts(script, Dialect::Postgresql)[1..],
        ["SELECT '\\', E'a\\';b', a$b FROM \"t;\"", "SELECT $1", "SELECT $$;$$"]
    );
}

#[test]
fn unterminated_tokens_are_reported_with_line() {
    for (script, dialect, message) in [
        ("SELECT 1;\nSELECT 'a", Dialect::Mysql, "unterminated quote that begins on line 2"),
        ("\n\n/* a", Dialect::Postgresql, "unterminated comment that begins on line 3"),
        ("SELECT $x$ 1", Dialect::Postgresql, "unterminated dollar quote that begins on line 1"),
    ] {
        assert_eq!(split(script, dialect).unwrap_err().to_string(), message);
    }
}

proptest::proptest! {
    #[test]
    fn split_never_panics_or_loops(script in "[-a-zE$'\"`;/*# \n\\\\é]{0,60}") {
        for dialect in [Dialect::Mysql, Dialect::Postgresql] {
            drop(split(&script, dialect));
        }
    }
}
