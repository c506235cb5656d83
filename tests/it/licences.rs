//! Licence expressions as SPDX writes them (annex D), and with the slash that stood for "or" before.

/// What somebody who uses a package has to agree to.
pub enum Expression {
    One(String),
    Either(Vec<Self>),
    All(Vec<Self>),
}

impl Expression {
    pub fn parse(text: &str) -> Self {
        let spaced = text.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
        let mut words = spaced.split_whitespace().peekable();
        let parsed = either(&mut words);
        assert_eq!(words.next(), None, "{text} goes on behind its end");
        parsed
    }

    /// Whether somebody can agree who agrees to licences of which this holds.
    pub fn holds(&self, of: &impl Fn(&str) -> bool) -> bool {
        match self {
            Self::One(licence) => of(licence),
            Self::Either(parts) => parts.iter().any(|part| part.holds(of)),
            Self::All(parts) => parts.iter().all(|part| part.holds(of)),
        }
    }
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn either(words: &mut Words<'_>) -> Expression {
    let mut parts = vec![all(words)];
    while words.next_if_eq(&"OR").is_some() {
        parts.push(all(words));
    }
    Expression::Either(parts)
}

fn all(words: &mut Words<'_>) -> Expression {
    let mut parts = vec![one(words)];
    while words.next_if_eq(&"AND").is_some() {
        parts.push(one(words));
    }
    Expression::All(parts)
}

fn one(words: &mut Words<'_>) -> Expression {
    match words.next() {
        Some("(") => {
            let inner = either(words);
            assert_eq!(words.next(), Some(")"));
            inner
        }
        Some(licence) if !["OR", "AND", "WITH", ")"].contains(&licence) => match words.next_if_eq(&"WITH") {
            Some(_) => Expression::One(format!("{licence} WITH {}", words.next().unwrap())),
            None => Expression::One(licence.to_owned()),
        },
        other => panic!("{other:?} is no licence"),
    }
}

#[test]
fn t3_an_expression_holds_when_somebody_can_agree_to_it() {
    let holds = |text: &str, agreed: &[&str]| Expression::parse(text).holds(&|one| agreed.contains(&one));
    assert!(holds("MIT", &["MIT"]) && !holds("GPL-3.0", &["MIT"]));
    assert!(holds("MIT/Apache-2.0", &["MIT"]) && holds("Unlicense OR MIT", &["MIT"]));
    assert!(!holds("MIT AND GPL-3.0", &["MIT"]));
    // "And" binds closer than "or".
    assert!(holds("MIT OR ISC AND GPL-3.0", &["MIT"]) && !holds("(MIT OR ISC) AND GPL-3.0", &["MIT", "ISC"]));
    assert!(holds("ISC AND (Apache-2.0 OR ISC)", &["ISC"]));
    assert!(!holds("Apache-2.0 WITH LLVM-exception", &["Apache-2.0"]));
    assert!(holds("Apache-2.0 WITH LLVM-exception OR X", &["Apache-2.0 WITH LLVM-exception"]));
}
