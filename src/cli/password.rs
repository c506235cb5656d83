//! Where a password comes from: standard input, or a prompt that does not show it.

use std::io::{self, IsTerminal as _, Read as _};

use zeroize::Zeroizing;

use super::Refused;

/// More than any password may have; what is longer is refused without being read.
const READ_MAX: u64 = 64 * 1024;

/// Reads standard input whole and cuts one line break off its end, or asks twice at the terminal.
pub(super) fn read(from_stdin: bool) -> Result<Zeroizing<String>, Refused> {
    if from_stdin {
        let mut text = Zeroizing::new(String::new());
        io::stdin()
            .take(READ_MAX)
            .read_to_string(&mut text)
            .map_err(|error| Refused(format!("the password on standard input cannot be read: {error}")))?;
        let end = text.strip_suffix('\n').map_or(text.len(), |text| text.strip_suffix('\r').unwrap_or(text).len());
        text.truncate(end);
        return Ok(text);
    }
    if !io::stdin().is_terminal() {
        return Err(Refused(
            "there is no terminal to ask for a password at; pipe it in with --password-stdin".to_owned(),
        ));
    }
    let ask = |prompt| rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(Refused::because);
    let password = ask("Password: ")?;
    if *password != *ask("Again: ")? {
        return Err(Refused("the two passwords differ".to_owned()));
    }
    Ok(password)
}
