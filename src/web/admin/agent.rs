//! Which browser and system a `User-Agent` speaks of, for people. It is whatever its sender says (RFC 9110 §10.1.5), so
//! that nothing is decided by it, and pages show the whole of it as well.

/// Browsers and tools, those first that also name others.
const PROGRAMS: [(&str, &str); 20] = [
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("OPR/", "Opera"),
    ("Vivaldi/", "Vivaldi"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("YaBrowser/", "Yandex Browser"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Firefox/", "Firefox"),
    ("HeadlessChrome/", "Chrome, headless"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
    ("Wget/", "Wget"),
    ("okhttp/", "OkHttp"),
    ("python-requests/", "Python requests"),
    ("PostmanRuntime/", "Postman"),
    ("Dart/", "Dart"),
    ("Go-http-client/", "Go"),
];

/// Systems, those first that also name others.
const SYSTEMS: [(&str, &str); 10] = [
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Macintosh", "macOS"),
    ("Darwin", "Apple"),
    ("FreeBSD", "FreeBSD"),
    ("Linux", "Linux"),
    ("X11", "Unix"),
];

/// How much of a name that is not known is shown.
const KEPT: usize = 24;

/// A few words for an agent, such as `Firefox on Linux`. Of one that is not known, its first word.
pub fn short(agent: Option<&str>) -> String {
    let Some(agent) = agent.map(str::trim).filter(|agent| !agent.is_empty()) else { return "unknown".to_owned() };
    let named =
        |list: &[(&str, &'static str)]| list.iter().find(|(mark, _)| agent.contains(mark)).map(|(_, name)| *name);
    match (named(&PROGRAMS), named(&SYSTEMS)) {
        (Some(program), Some(system)) => format!("{program} on {system}"),
        (Some(program), None) => program.to_owned(),
        (None, Some(system)) if agent.starts_with("Mozilla/") => format!("a browser on {system}"),
        _ => first_word(agent),
    }
}

fn first_word(agent: &str) -> String {
    let word = agent.split([' ', '/', '(']).find(|word| !word.is_empty()).unwrap_or(agent);
    let kept: String = word.chars().take(KEPT).collect();
    if kept.len() < word.len() { kept + "…" } else { kept }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_told_apart_although_each_names_the_others() {
        let webkit = "AppleWebKit/537.36 (KHTML, like Gecko)";
        for (agent, expected) in [
            ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
            (
                &format!("Mozilla/5.0 (Windows NT 10.0; Win64; x64) {webkit} Chrome/141.0 Safari/537.36"),
                "Chrome on Windows",
            ),
            (
                &format!("Mozilla/5.0 (Windows NT 10.0) {webkit} Chrome/141.0 Safari/537.36 Edg/141.0"),
                "Edge on Windows",
            ),
            (
                &format!("Mozilla/5.0 (Linux; Android 16) {webkit} Chrome/141.0 Mobile Safari/537.36"),
                "Chrome on Android",
            ),
            ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/26.0 Safari/605.1.15", "Safari on macOS"),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) CriOS/141.0 Mobile Safari/604.1",
                "Chrome on iPhone",
            ),
            ("Mozilla/5.0 (Linux; U; Something)", "a browser on Linux"),
            ("curl/8.14.1", "curl"),
            ("MyApp/2.0 (build 7)", "MyApp"),
            ("  ", "unknown"),
            ("(((", "((("),
            ("a-word-that-is-much-longer-than-there-is-room-for", "a-word-that-is-much-long…"),
            ("<b>x</b>", "<b>x<"),
        ] {
            assert_eq!(short(Some(agent)), expected, "{agent}");
        }
        assert_eq!(short(None), "unknown");
    }
}
