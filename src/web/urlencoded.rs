//! `application/x-www-form-urlencoded`, strictly: what is not UTF-8 is refused, not replaced by a mark that would make two
//! different texts one.

use actix_web::HttpRequest;
use actix_web::http::header;

/// Names and values in their order (WHATWG URL §5.1); `None` when one of them is no text.
pub(super) fn parse(body: &[u8]) -> Option<Vec<(String, String)>> {
    let pairs = body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let at = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
            let (name, value) = pair.split_at_checked(at)?;
            Some((decode(name)?, decode(value.strip_prefix(b"=").unwrap_or(value))?))
        })
        .collect()
}

/// One name or value.
pub(super) fn decode(text: &[u8]) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let (digits, behind) = rest.split_at_checked(2)?;
                rest = behind;
                let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?;
                u8::from_str_radix(digits, 16).ok()?
            }
            byte => *byte,
        });
    }
    String::from_utf8(bytes).ok()
}

/// Whether a request says that its body is such a form, and not compressed.
pub(super) fn is_form(request: &HttpRequest) -> bool {
    let mut types = request.headers().get_all(header::CONTENT_TYPE);
    let (Some(first), None) = (types.next(), types.next()) else { return false };
    let essence = first.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
        && !request.headers().contains_key(header::CONTENT_ENCODING)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_decoded_as_browsers_encode_them() {
        let pairs = parse(b"a=1+2&b=%C3%A4%26&c&=x&a=%0d%0A").unwrap();
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(pairs, [("a", "1 2"), ("b", "ä&"), ("c", ""), ("", "x"), ("a", "\r\n")]);
        assert_eq!(parse(b""), Some(Vec::new()));
    }

    #[test]
    fn j13_what_is_not_utf_8_is_refused_and_not_replaced() {
        for body in ["a=%ff", "a=%C3", "a=%", "a=%4", "a=%zz", "a=%+1"] {
            assert_eq!(parse(body.as_bytes()), None, "{body}");
        }
        assert!(parse(b"a=\xff").is_none());
    }
}
