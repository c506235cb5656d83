//! `relatch setup-url`: the one-time link for making the first admin.

use serde_json::json;

use super::output::Output;
use super::{Done, Refused};
use crate::app::App;
use crate::auth::setup_link::make_setup_token;
use crate::config::{Config, Loaded};
use crate::secret::Secret;

pub(super) async fn run(loaded: &Loaded, app: &App, output: &Output) -> Done {
    match make(&loaded.config, app).await? {
        Some(url) => output.result(text(&url), &json!({ "setupUrl": url.expose() })),
        None => Err(Refused("there is an admin already; make more with: relatch user create --role admin".to_owned())),
    }
}

/// A new link; `None` when there is an admin.
pub(super) async fn make(config: &Config, app: &App) -> Result<Option<Secret<String>>, Refused> {
    let token = make_setup_token(app.auth()).await.map_err(Refused::because)?;
    Ok(token.map(|token| Secret::new(format!("{}/admin/setup?t={}", config.public_url, token.expose()))))
}

/// What to tell the operator about it.
pub(super) fn text(url: &Secret<String>) -> String {
    format!(
        "There is no admin yet. This link makes the first one; it works once, within 30 minutes:\n  {}\n\
         So does: relatch user create --role admin --username NAME --email ADDRESS",
        url.expose()
    )
}
