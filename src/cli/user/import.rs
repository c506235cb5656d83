//! `relatch user import`: a line an account. What was imported stays, whatever comes after it.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use serde::Deserialize;
use serde_json::json;

use super::{Done, Output, Refused, refusal};
use crate::app::App;
use crate::auth::import_user::{ImportError, ImportedAccount, import_user};
use crate::auth::register::RegisterError;
use crate::auth::users::is_one_account;
use crate::domain::role::Role;

/// How often progress is reported, in lines.
const REPORT_EVERY: usize = 1_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Line {
    username: String,
    email: String,
    password_hash: String,
    role: Option<String>,
}

#[derive(Default)]
struct Counts {
    imported: usize,
    already_there: usize,
    refused: usize,
}

pub(super) async fn run(app: &App, file: &Path, output: &Output) -> Done {
    let lines: Box<dyn BufRead> = if file == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        let file = File::open(file).map_err(|error| Refused(format!("{}: {error}", file.display())))?;
        Box::new(BufReader::new(file))
    };
    let mut counts = Counts::default();
    for (index, line) in lines.lines().enumerate() {
        let number = index + 1;
        let line = line.map_err(|error| Refused(format!("line {number} cannot be read: {error}")))?;
        if line.trim().is_empty() {
            continue;
        }
        match import(app, &line).await {
            Ok(true) => counts.imported += 1,
            Ok(false) => counts.already_there += 1,
            Err(refused) => {
                counts.refused += 1;
                output.note(format_args!("line {number}: {refused}"));
            }
        }
        if number % REPORT_EVERY == 0 {
            output.note(format_args!("{number} lines, {} imported", counts.imported));
        }
    }
    let Counts { imported, already_there, refused } = counts;
    output.result(
        format_args!("{imported} imported, {already_there} were there already, {refused} refused"),
        &json!({ "imported": imported, "alreadyThere": already_there, "refused": refused }),
    )?;
    if refused == 0 {
        Ok(())
    } else {
        Err(Refused(format!("{refused} lines were refused; correct and import them again")))
    }
}

/// Whether the account is new; `false` when it was there already.
async fn import(app: &App, line: &str) -> Result<bool, Refused> {
    // The parser's own words could repeat a hash.
    let line: Line = serde_json::from_str(line).map_err(|_| {
        Refused("is not an object with username, email, passwordHash and perhaps role, all of them strings".to_owned())
    })?;
    let role = match &line.role {
        None => Role::User,
        Some(role) => Role::parse(role).ok_or_else(|| Refused("the role must be Admin or User".to_owned()))?,
    };
    let account =
        ImportedAccount { username: &line.username, email: &line.email, password_hash: &line.password_hash, role };
    match import_user(app.auth(), account).await {
        Ok(_) => Ok(true),
        Err(ImportError::Refused(RegisterError::Taken(taken))) if taken.username && taken.email => {
            match is_one_account(app.auth(), &line.username, &line.email).await {
                Ok(true) => Ok(false),
                Ok(false) => Err(Refused("the username and the e-mail address belong to two other users".to_owned())),
                Err(failure) => Err(Refused::because(failure)),
            }
        }
        Err(ImportError::Refused(error)) => Err(refusal(&error)),
        Err(error) => Err(Refused::because(error)),
    }
}
