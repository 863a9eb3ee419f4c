//! Writes a configuration as TOML. The only module that uses `toml_edit`.

use toml_edit::{
    Array, ArrayOfTables, DocumentMut, InlineTable, Item as TomlItem, Key, Table as TomlTable,
    Value as TomlValue,
};

use super::tree::{Item, Table, Value};

/// Maximum width of a list on one line; longer lists are written with one item per line.
const WIDTH: usize = 100;

/// Returns `root` as TOML.
pub(super) fn write(root: &Table) -> String {
    let mut document = DocumentMut::new();
    let mut top = table(root);
    top.decor_mut().clear();
    *document.as_table_mut() = top;
    let head: String = root.about.iter().map(|line| format!("# {line}\n")).collect();
    format!("{head}{document}")
}

fn table(from: &Table) -> TomlTable {
    let mut to = TomlTable::new();
    let only_tables = from.entries.iter().all(|(_, item)| !matches!(item, Item::Value(_)));
    to.set_implicit(only_tables && from.about.is_empty() && !from.entries.is_empty());
    let about: String = from.about.iter().map(|line| format!("# {line}\n")).collect();
    to.decor_mut().set_prefix(format!("\n{about}"));
    for (key, item) in &from.entries {
        let item = match item {
            Item::Value(from) => TomlItem::Value(value(from)),
            Item::Table(from) => TomlItem::Table(table(from)),
            Item::Tables(from) => {
                let mut tables = ArrayOfTables::new();
                from.iter().for_each(|from| tables.push(table(from)));
                TomlItem::ArrayOfTables(tables)
            }
        };
        to.insert_formatted(&Key::new(key.as_str()), item);
    }
    to
}

fn value(from: &Value) -> TomlValue {
    match from {
        Value::Text(text) => text.as_str().into(),
        Value::Secret(secret) => secret.expose().into(),
        Value::Int(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::Bool(truth) => (*truth).into(),
        Value::List(values) => {
            let mut list = Array::new();
            values.iter().for_each(|from| list.push(value(from)));
            if list.to_string().len() > WIDTH && list.len() > 1 {
                list.iter_mut().for_each(|item| item.decor_mut().set_prefix("\n    "));
                list.set_trailing_comma(true);
                list.set_trailing("\n");
            }
            TomlValue::Array(list)
        }
        Value::Map(entries) => {
            let mut map = InlineTable::new();
            for (key, from) in entries {
                map.insert(key, value(from));
            }
            TomlValue::InlineTable(map)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Table {
        let mut root = Table::about("written by a test");
        root.put("server", Table::about("name").set("hostname", "a\"b\\c").set("offset", 3_u16));
        root.put("apim.event_hub", Table::default().set("urls", vec!["tcp://a:1".to_owned()]));
        root.push("apim.event_hub.publish.url_group", Table::about("one").set("type", "x"));
        root.push("apim.event_hub.publish.url_group", Table::default().set("header.X-A", "y"));
        root
    }

    #[test]
    fn written_toml_parses() {
        let text = write(&example());
        let read: DocumentMut = text.parse().unwrap();
        assert_eq!(read["server"]["hostname"].as_str(), Some("a\"b\\c"));
        assert_eq!(read["apim"]["event_hub"]["publish"]["url_group"][1]["header.X-A"].as_str(), Some("y"));
        insta::assert_snapshot!(text, @r#"
        # written by a test

        # name
        [server]
        hostname = 'a"b\c'
        offset = 3

        [apim.event_hub]
        urls = ["tcp://a:1"]

        # one
        [[apim.event_hub.publish.url_group]]
        type = "x"

        [[apim.event_hub.publish.url_group]]
        "header.X-A" = "y"
        "#);
    }
}
