//! Where to go after the sign-in: one of the console's own pages, and never anywhere else.

/// A path with a query on this server, below one of the console's pages.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Next(String);

/// The first segments below `/admin` that somebody may be sent to.
const PAGES: [&str; 9] = ["users", "sessions", "audit", "blocks", "clients", "keys", "settings", "maintenance", "me"];
const LONGEST: usize = 1_000;

impl Next {
    /// Takes only what the console's own links look like: known pages, no dots, backslashes, empty segments or control
    /// characters. Escapes may stand in the query alone.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let (path, query) = text.split_once('?').unwrap_or((text, ""));
        let mut segments = path.strip_prefix('/')?.split('/');
        if segments.next() != Some("admin") {
            return None;
        }
        let segments: Vec<&str> = segments.collect();
        let is_plain = |segment: &&str| {
            !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        let is_known = segments.first().is_none_or(|first| PAGES.contains(first));
        let in_query = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~%=&+:*@,/".contains(&byte);
        (is_known && segments.iter().all(is_plain) && query.bytes().all(in_query)).then(|| Self(text.to_owned()))
    }

    /// The path and its query.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is where everybody goes anyway.
    pub fn is_dashboard(&self) -> bool {
        self.0 == "/admin"
    }

    /// As the value of a parameter in a query.
    pub fn escaped(&self) -> String {
        url::form_urlencoded::byte_serialize(self.0.as_bytes()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn o8_only_pages_of_the_console_are_gone_to() {
        for text in [
            "/admin",
            "/admin/users",
            "/admin/users?q=foo%40example.com&role=admin",
            "/admin/users/7/sessions/0199-ab",
            "/admin/me",
        ] {
            assert_eq!(Next::parse(text).as_ref().map(Next::as_str), Some(text));
        }
        let long = format!("/admin/users?q={}", "a".repeat(10_000));
        for text in [
            "",
            "admin",
            "//evil.example",
            "//evil.example/admin",
            "/\\evil.example",
            "/%09/evil.example",
            "/\t/evil.example",
            "https:evil.example",
            "https://evil.example/admin",
            "javascript:alert(1)",
            "data:text/html,x",
            "/admin/users\r\nset-cookie: a=b",
            "/admin/users?q=\r\nx: y",
            "/..//evil.example",
            "/admin/..//evil.example",
            "/admin/../api/users",
            "/admin//users",
            "/admin/users/",
            "/admin/",
            "/admin/sign-in",
            "/admin/sign-out",
            "/admin/setup?t=x",
            "/admin/users#x",
            "/admin/users?next=\\evil",
            "/administrator",
            "/api/users",
            "/admin/users/%2e%2e/x",
            long.as_str(),
        ] {
            assert_eq!(Next::parse(text), None, "{text:?}");
        }
    }
}
