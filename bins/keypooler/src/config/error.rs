//! The one way in which configuration goes wrong: a setting's name and what is the matter.

/// A setting that stops the start. Prints as one line, which holds no value.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", one_line(.0))]
pub(crate) struct ConfigError(String);

impl ConfigError {
    pub(crate) fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

/// Paths and names are free to hold line breaks; the message is not.
fn one_line(sentence: &str) -> String {
    let printable = |char: char| if char.is_control() { '?' } else { char };
    sentence.chars().map(printable).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_one_line_whatever_it_tells_of() {
        assert_eq!(ConfigError::new("a\nb\u{1b}[1mc").to_string(), "a?b?[1mc");
    }
}
