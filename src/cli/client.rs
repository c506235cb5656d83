//! `relatch client`: programs that act on their own.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::output::Output;
use super::user::cell;
use super::{Done, Refused};
use crate::app::App;
use crate::auth::Actor;
use crate::auth::clients::{self, ClientChanges, NewClient, WithSecrets};
use crate::domain::client::Client;
use crate::domain::registered_client::{ApiAudience, ClientId, ClientName, SecretId};
use crate::domain::scope::{Scope, Scopes};
use crate::domain::timestamp::Timestamp;

/// How many rows are asked for at once.
const PAGE: u32 = 200;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Register a client; its first secret is printed this once
    Create(Create),
    /// List clients, the newest first
    List,
    /// Show one client and its secrets
    Show(Named),
    /// Change a client's name, audience or scopes
    Update(Update),
    /// Give a client another secret, which is printed this once; it has two at most
    AddSecret {
        #[command(flatten)]
        client: Named,
        #[command(flatten)]
        life: Life,
    },
    /// Take a secret away from a client, and the access tokens that it got with it
    RevokeSecret {
        #[command(flatten)]
        client: Named,
        /// The secret's id, as relatch client show prints it
        #[arg(value_name = "SECRET")]
        secret: String,
    },
    /// Keep a client out: its secrets and access tokens are refused
    Disable(Named),
    /// Let a client in again
    Enable(Named),
    /// Delete a client and its secrets
    Delete(Named),
}

#[derive(Args)]
pub(super) struct Create {
    /// What people call it
    #[arg(long)]
    name: String,
    /// What it may do: introspect, users:read, sessions:read, sessions:revoke or audit:read; more than once for several
    #[arg(long = "scope", value_name = "SCOPE", required = true)]
    scopes: Vec<String>,
    /// Only tokens with this audience may be introspected
    #[arg(long)]
    audience: Option<String>,
    #[command(flatten)]
    life: Life,
}

#[derive(Args)]
pub(super) struct Update {
    #[command(flatten)]
    client: Named,
    /// Another name
    #[arg(long)]
    name: Option<String>,
    /// All that it may do from now on; more than once for several
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// Only tokens with this audience may be introspected; empty for all tokens
    #[arg(long)]
    audience: Option<String>,
}

#[derive(Args)]
pub(super) struct Life {
    /// The secret expires after so many days; without this it does not
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3650))]
    expires_in_days: Option<u32>,
}

impl Life {
    fn ends_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.expires_in_days.map(|days| now.after(Duration::from_hours(24) * days))
    }
}

#[derive(Args)]
pub(super) struct Named {
    /// The client's id
    #[arg(value_name = "CLIENT")]
    client: String,
}

impl Named {
    fn id(&self) -> Result<ClientId, Refused> {
        let wrong = || Refused("that is not a client's id; relatch client list shows them".to_owned());
        ClientId::parse(&self.client).ok_or_else(wrong)
    }
}

pub(super) async fn run(app: &App, command: Command, output: &Output) -> Done {
    let (auth, nobody) = (app.auth(), Client::default());
    let change = async |named: &Named, changes: ClientChanges, what: &str| {
        let changed = clients::update_client(auth, Actor::Operator, named.id()?, changes, &nobody).await;
        let changed = changed.map_err(Refused::because)?;
        output.result(format_args!("{} {what}", called(&changed)), &to_json(&changed))
    };
    match command {
        Command::Create(create) => self::create(app, &create, output).await,
        Command::List => list(app, output).await,
        Command::Show(named) => {
            let found = clients::find_client(auth, named.id()?).await.map_err(Refused::because)?;
            let found = found.ok_or_else(|| Refused("there is no such client".to_owned()))?;
            show(&found, output)
        }
        Command::Update(update) => {
            let changes = ClientChanges {
                name: update.name.as_deref().map(name).transpose()?,
                audience: match update.audience.as_deref() {
                    None => None,
                    Some("") => Some(None),
                    Some(text) => Some(Some(audience(text)?)),
                },
                scopes: if update.scopes.is_empty() { None } else { Some(scopes(&update.scopes)?) },
                disabled: None,
            };
            change(&update.client, changes, "is changed").await
        }
        Command::AddSecret { client, life } => {
            let (id, ends_at) = (client.id()?, life.ends_at(auth.now()));
            let added = clients::add_secret(auth, Actor::Operator, id, ends_at, &nobody).await;
            let added = added.map_err(Refused::because)?;
            let value = added.value.expose();
            output.result(
                format_args!("{id} has another secret. It is not shown again:\n  {value}"),
                &json!({ "id": id.to_string(), "secretId": added.facts.id.to_string(), "clientSecret": value }),
            )
        }
        Command::RevokeSecret { client, secret } => {
            let id = client.id()?;
            let secret = SecretId::parse(&secret).ok_or_else(|| Refused("that is not a secret's id".to_owned()))?;
            let revoked = clients::revoke_secret(auth, Actor::Operator, id, secret, &nobody).await;
            revoked.map_err(Refused::because)?;
            output.result("the secret is revoked", &json!({ "id": id.to_string(), "secretId": secret.to_string() }))
        }
        Command::Disable(named) => {
            change(&named, ClientChanges { disabled: Some(true), ..ClientChanges::default() }, "is disabled").await
        }
        Command::Enable(named) => {
            change(&named, ClientChanges { disabled: Some(false), ..ClientChanges::default() }, "is enabled").await
        }
        Command::Delete(named) => {
            let id = named.id()?;
            clients::delete_client(auth, Actor::Operator, id, &nobody).await.map_err(Refused::because)?;
            output.result(format_args!("{id} is deleted"), &json!({ "id": id.to_string() }))
        }
    }
}

async fn create(app: &App, create: &Create, output: &Output) -> Done {
    let new = NewClient {
        name: name(&create.name)?,
        audience: create.audience.as_deref().map(audience).transpose()?,
        scopes: scopes(&create.scopes)?,
        secret_expires_at: create.life.ends_at(app.auth().now()),
    };
    let made = clients::create_client(app.auth(), Actor::Operator, new, &Client::default()).await;
    let (made, secret) = made.map_err(Refused::because)?;
    let value = secret.value.expose();
    let mut json = to_json(&made);
    if let Some(members) = json.as_object_mut() {
        members.insert("clientSecret".to_owned(), json!(value));
    }
    let text = format_args!("{} was registered. Its secret is not shown again:\n  {value}", called(&made));
    output.result(text, &json)
}

async fn list(app: &App, output: &Output) -> Done {
    let mut cursor = None;
    let mut rows = Vec::new();
    loop {
        let page = clients::list_clients(app.auth(), cursor.as_deref(), PAGE).await.map_err(Refused::because)?;
        rows.extend(page.items.iter().map(to_json));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    output.rows(&["ID", "NAME", "STATUS", "SCOPES", "CREATED", "LAST USED", "FROM"], &rows, |row| {
        ["id", "name", "status", "scope", "createdAt", "lastUsedAt", "lastUsedIp"]
            .map(|member| cell(row, member))
            .to_vec()
    })
}

fn show(found: &WithSecrets, output: &Output) -> Done {
    let json = to_json(found);
    let mut lines: Vec<String> = ["id", "name", "status", "scope", "audience", "createdAt", "lastUsedAt", "lastUsedIp"]
        .iter()
        .map(|member| format!("{member:<12}{}", cell(&json, member)))
        .collect();
    for secret in json.get("secrets").and_then(Value::as_array).into_iter().flatten() {
        let [id, made, expires, used] =
            ["id", "createdAt", "expiresAt", "lastUsedAt"].map(|member| cell(secret, member));
        lines.push(format!("secret      {id}, made {made}, expires {expires}, last used {used}"));
    }
    output.result(lines.join("\n"), &json)
}

fn called(WithSecrets { client, .. }: &WithSecrets) -> String {
    format!("{} ({})", client.name.as_str(), client.id)
}

fn name(text: &str) -> Result<ClientName, Refused> {
    ClientName::parse(text).map_err(|error| Refused(format!("the name {error}")))
}

fn audience(text: &str) -> Result<ApiAudience, Refused> {
    ApiAudience::parse(text).map_err(|error| Refused(format!("the audience {error}")))
}

fn scopes(names: &[String]) -> Result<Scopes, Refused> {
    let known: Scopes = Scope::ALL.into_iter().collect();
    Scopes::parse(&names.join(" ")).ok_or_else(|| Refused(format!("the scopes that there are: {known}")))
}

fn to_json(WithSecrets { client, secrets }: &WithSecrets) -> Value {
    let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
    let secret = |secret: &crate::domain::registered_client::ClientSecret| {
        json!({
            "id": secret.id.to_string(),
            "createdAt": secret.created_at.to_string(),
            "expiresAt": time(secret.expires_at),
            "lastUsedAt": time(secret.last_used_at),
        })
    };
    json!({
        "id": client.id.to_string(),
        "name": client.name.as_str(),
        "audience": client.audience.as_ref().map(ApiAudience::as_str),
        "scope": client.scopes.to_string(),
        "status": if client.is_active() { "active" } else { "disabled" },
        "createdAt": client.created_at.to_string(),
        "createdBy": client.created_by.map(|user| user.get()),
        "lastUsedAt": time(client.last_used_at),
        "lastUsedIp": client.last_used_ip,
        "secrets": secrets.iter().map(secret).collect::<Vec<_>>(),
    })
}
