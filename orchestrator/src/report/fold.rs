//! Shortens lists of host names: names that differ only by a number become a range in inventory
//! syntax, such as `gw[1:3]`.

/// The common parts of several names: prefix, width of zero-padded numbers (otherwise 0), suffix.
type Shape<'a> = (&'a str, usize, &'a str);

/// Returns `names` as a comma-separated list with ranges, in order of first appearance.
#[must_use]
pub fn folded<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut kinds: Vec<(Option<Shape<'a>>, &'a str, Vec<u64>)> = Vec::new();
    for name in names {
        let (shape, number) = match numbered(name) {
            Some((shape, number)) => (Some(shape), Some(number)),
            None => (None, None),
        };
        let known = kinds.iter_mut().find(|(other, _, _)| shape.is_some() && *other == shape);
        match (known, number) {
            (Some((_, _, numbers)), Some(number)) => numbers.push(number),
            _ => kinds.push((shape, name, number.into_iter().collect())),
        }
    }
    let words: Vec<String> = kinds
        .into_iter()
        .flat_map(|(shape, name, numbers)| match shape {
            Some(shape) => runs(shape, numbers),
            None => vec![name.to_owned()],
        })
        .collect();
    words.join(",")
}

/// Splits a name at the last number of its first label. Numbers of more than 9 digits are ignored.
fn numbered(name: &str) -> Option<(Shape<'_>, u64)> {
    let label = name.split('.').next()?;
    let end = label.rfind(|c: char| c.is_ascii_digit())? + 1;
    let begin = label[..end]
        .rfind(|c: char| !c.is_ascii_digit())
        .map_or(0, |at| at + label[at..].chars().next().map_or(1, char::len_utf8));
    let digits = &name[begin..end];
    // Do not fold IP addresses.
    if begin == 0 || digits.len() > 9 {
        return None;
    }
    let width = if digits.starts_with('0') && digits.len() > 1 { digits.len() } else { 0 };
    Some(((&name[..begin], width, &name[end..]), digits.parse().ok()?))
}

fn runs((head, width, tail): Shape<'_>, mut numbers: Vec<u64>) -> Vec<String> {
    numbers.sort_unstable();
    numbers.dedup();
    numbers
        .chunk_by(|one, next| *next == one + 1)
        .filter_map(|run| match (run.first()?, run.last()?) {
            (first, last) if first == last => Some(format!("{head}{first:0width$}{tail}")),
            (first, last) => Some(format!("{head}[{first:0width$}:{last:0width$}]{tail}")),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_by_a_number_are_a_range() {
        for (names, said) in [
            (&["gw1", "gw2", "gw3"][..], "gw[1:3]"),
            (&["gw3", "cp1", "gw1"], "gw1,gw3,cp1"),
            (&["gw2", "gw1"], "gw[1:2]"),
            (
                &["gw01.example.com", "gw02.example.com", "gw04.example.com"],
                "gw[01:02].example.com,gw04.example.com",
            ),
            (&["a", "b"], "a,b"),
            (&["10.0.0.1", "10.0.0.2"], "10.0.0.1,10.0.0.2"),
            (&["eu1-gw1", "eu1-gw2", "eu2-gw1"], "eu1-gw[1:2],eu2-gw1"),
            (&["größe1", "größe2"], "größe[1:2]"),
        ] {
            assert_eq!(folded(names.iter().copied()), said);
        }
    }
}
