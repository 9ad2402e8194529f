//! Sans-IO. Finds the known name that a misspelt one was probably meant to be.

/// Longer names are not compared: the work grows with the square of the length.
const LONGEST: usize = 64;

/// The candidate with the fewest edits from `name`, when it is close enough to be a misspelling.
///
/// An edit is one letter put in, left out or replaced, or two neighbours swapped. A third of the
/// name's letters may differ. Of equally near candidates the first is taken.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted: Vec<char> = name.to_lowercase().chars().take(LONGEST + 1).collect();
    if wanted.is_empty() || wanted.len() > LONGEST {
        return None;
    }
    let allowed = (wanted.len() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| {
            let letters: Vec<char> = candidate.chars().take(LONGEST).collect();
            (distance(&wanted, &letters), candidate)
        })
        .filter(|(edits, _)| *edits <= allowed)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// The tail of a diagnostic: `, did you mean "x"?`, or nothing.
pub fn hint<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, candidates)
        .map_or_else(String::new, |known| format!(", did you mean \"{known}\"?"))
}

/// Edits between two words (optimal string alignment), row by row.
fn distance(from: &[char], to: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    let mut previous_letter = None;
    for (row, &letter) in from.iter().enumerate() {
        let mut current = vec![row + 1];
        let mut previous_target = None;
        for (column, &target) in to.iter().enumerate() {
            let at = |line: &[usize], index: usize| line.get(index).copied().unwrap_or(usize::MAX);
            let replaced = at(&last, column) + usize::from(letter != target);
            let shorter = at(&last, column + 1).min(at(&current, column)) + 1;
            let swapped = match column.checked_sub(1) {
                Some(two_back)
                    if previous_letter == Some(target) && previous_target == Some(letter) =>
                {
                    at(&before_last, two_back).saturating_add(1)
                }
                Some(_) | None => usize::MAX,
            };
            current.push(replaced.min(shorter).min(swapped));
            previous_target = Some(target);
        }
        before_last = std::mem::replace(&mut last, current);
        previous_letter = Some(letter);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edits(from: &str, to: &str) -> usize {
        distance(
            &from.chars().collect::<Vec<_>>(),
            &to.chars().collect::<Vec<_>>(),
        )
    }

    #[test]
    fn edits_are_counted_by_letter_and_a_swap_is_one() {
        for (from, to, expected) in [
            ("", "", 0),
            ("a", "", 1),
            ("", "abc", 3),
            ("pool_mode", "pool_mode", 0),
            ("pool_mod", "pool_mode", 1),
            ("pool_mdoe", "pool_mode", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(edits(from, to), expected, "{from} -> {to}");
            assert_eq!(edits(to, from), expected, "{to} -> {from}");
        }
    }

    #[test]
    fn a_name_unlike_all_others_has_no_nearest() {
        assert_eq!(nearest("zzzz", ["pool_mode"]), None);
        assert_eq!(nearest("", ["pool_mode"]), None);
        assert_eq!(nearest(&"x".repeat(70), ["pool_mode"]), None);
        assert_eq!(
            nearest("Pool_Mode", ["host", "pool_mode"]),
            Some("pool_mode")
        );
    }
}
