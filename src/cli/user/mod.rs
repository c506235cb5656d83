//! `relatch user`: accounts.

mod import;

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::output::Output;
use super::{Done, Refused, password};
use crate::app::App;
use crate::auth::Actor;
use crate::auth::change_password::reset_password;
use crate::auth::register::{NewAccount, RegisterError, register};
use crate::auth::reset_link::make_reset_token;
use crate::auth::start::Purpose;
use crate::auth::update_user::{UserChanges, delete_user, restore_user, update_user};
use crate::auth::users::{StatusFilter, UserQuery, find_user_by_name, list_users};
use crate::config::Config;
use crate::domain::client::Client;
use crate::domain::role::Role;
use crate::domain::user::{User, UserStatus};

/// How many rows are asked for at once.
const PAGE: u32 = 200;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Make an account
    Create(Create),
    /// List accounts
    List {
        /// Only those whose username or e-mail address begins with this
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
        /// Only this role
        #[arg(long)]
        role: Option<RoleArgument>,
        /// Only this status; without it, all but the deleted
        #[arg(long)]
        status: Option<StatusArgument>,
    },
    /// Show one account
    Show(Named),
    /// Make somebody an admin or a plain user
    SetRole {
        #[command(flatten)]
        user: Named,
        /// The new role
        role: RoleArgument,
    },
    /// Keep somebody out, and end their sessions
    Disable(Named),
    /// Let somebody in again
    Enable(Named),
    /// Delete an account and end its sessions; name and e-mail address stay reserved
    Delete(Named),
    /// Take back the deletion of an account
    Restore(Named),
    /// Give somebody a new password, and end their sessions
    ResetPassword {
        #[command(flatten)]
        user: Named,
        /// Read the password from standard input instead of asking for it
        #[arg(long)]
        password_stdin: bool,
        /// Print a link instead, with which the user chooses the password; it works once, within 60 minutes
        #[arg(long, conflicts_with = "password_stdin")]
        link: bool,
    },
    /// Take over accounts with bcrypt hashes
    ///
    /// Each line of the file is an object with username, email, passwordHash ($2a$, $2b$ or $2y$) and perhaps role.
    /// Accounts that are there already are left alone, so that an interrupted import can be run again.
    Import {
        /// The file; - is standard input
        file: PathBuf,
    },
}

impl Command {
    /// The first account may be made before the first start of the server.
    pub(super) fn purpose(&self) -> Purpose {
        match self {
            Self::Create(_) | Self::Import { .. } => Purpose::Begin,
            _ => Purpose::Command,
        }
    }
}

#[derive(Args)]
pub(super) struct Create {
    /// The username
    #[arg(long)]
    username: String,
    /// The e-mail address
    #[arg(long)]
    email: String,
    /// What the user may do
    #[arg(long, default_value = "user")]
    role: RoleArgument,
    /// Read the password from standard input instead of asking for it; one line break at its end is cut off
    #[arg(long)]
    password_stdin: bool,
}

#[derive(Args)]
pub(super) struct Named {
    /// An id, a username or an e-mail address
    #[arg(value_name = "USER")]
    user: String,
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum RoleArgument {
    Admin,
    User,
}

impl From<RoleArgument> for Role {
    fn from(role: RoleArgument) -> Self {
        match role {
            RoleArgument::Admin => Self::Admin,
            RoleArgument::User => Self::User,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum StatusArgument {
    Active,
    Disabled,
    Deleted,
}

pub(super) async fn run(config: &Config, app: &App, command: Command, output: &Output) -> Done {
    let client = Client::default();
    let change = async |named: &Named, changes: UserChanges<'_>, what: &str| {
        let user = find(app, &named.user).await?;
        let user =
            update_user(app.auth(), Actor::Operator, user.id, changes, &client).await.map_err(Refused::because)?;
        output.result(format_args!("{} {what}", name(&user)), &to_json(&user))
    };
    match command {
        Command::Create(create) => self::create(app, &create, output).await,
        Command::List { search, role, status } => list(app, search, role, status, output).await,
        Command::Show(named) => {
            let user = find(app, &named.user).await?;
            output.rows(&HEADING, &[to_json(&user)], cells)
        }
        Command::SetRole { user, role } => {
            let changes = UserChanges { role: Some(role.into()), ..UserChanges::default() };
            change(&user, changes, &format!("now has the role {}", Role::from(role))).await
        }
        Command::Disable(named) => {
            change(&named, UserChanges { disabled: Some(true), ..UserChanges::default() }, "is disabled").await
        }
        Command::Enable(named) => {
            change(&named, UserChanges { disabled: Some(false), ..UserChanges::default() }, "is enabled").await
        }
        Command::Delete(named) => {
            let user = find(app, &named.user).await?;
            delete_user(app.auth(), Actor::Operator, user.id, &client).await.map_err(Refused::because)?;
            output.result(format_args!("{} is deleted", name(&user)), &json!({ "id": user.id.get() }))
        }
        Command::Restore(named) => {
            let user = find(app, &named.user).await?;
            let user = restore_user(app.auth(), Actor::Operator, user.id, &client).await.map_err(Refused::because)?;
            output.result(format_args!("{} is restored", name(&user)), &to_json(&user))
        }
        Command::ResetPassword { user, link: true, .. } => {
            let user = find(app, &user.user).await?;
            let token = make_reset_token(app.auth(), Actor::Operator, user.id, None, &client).await;
            let token = token.map_err(|error| Refused(format!("there is no link: {error}")))?;
            let url = format!("{}/reset?t={}", config.public_url, token.expose());
            let text =
                format_args!("With this link {} chooses a password, once and within 60 minutes:\n  {url}", name(&user));
            output.result(text, &json!({ "id": user.id.get(), "resetUrl": url }))
        }
        Command::ResetPassword { user, password_stdin, link: false } => {
            let user = find(app, &user.user).await?;
            let password = password::read(password_stdin)?;
            let user = reset_password(app.auth(), user.id, &password)
                .await
                .map_err(|error| Refused(format!("the password is not changed: {error}")))?;
            output.result(format_args!("{} has a new password", name(&user)), &to_json(&user))
        }
        Command::Import { file } => import::run(app, &file, output).await,
    }
}

async fn create(app: &App, create: &Create, output: &Output) -> Done {
    let password = password::read(create.password_stdin)?;
    let account =
        NewAccount { username: &create.username, email: &create.email, password: &password, role: create.role.into() };
    let user =
        register(app.auth(), Actor::Operator, account, &Client::default()).await.map_err(|error| refusal(&error))?;
    output.result(format_args!("{} was made, with the role {}", name(&user), user.role), &to_json(&user))
}

async fn list(
    app: &App,
    search: Option<String>,
    role: Option<RoleArgument>,
    status: Option<StatusArgument>,
    output: &Output,
) -> Done {
    let status = match status {
        None => StatusFilter::Existing,
        Some(StatusArgument::Active) => StatusFilter::Active,
        Some(StatusArgument::Disabled) => StatusFilter::Disabled,
        Some(StatusArgument::Deleted) => StatusFilter::Deleted,
    };
    let mut query = UserQuery { search, role: role.map(Role::from), status, cursor: None, limit: PAGE };
    let mut users = Vec::new();
    loop {
        let page = list_users(app.auth(), query.clone()).await.map_err(Refused::because)?;
        users.extend(page.items.iter().map(to_json));
        query.cursor = page.next;
        if query.cursor.is_none() {
            return output.rows(&HEADING, &users, cells);
        }
    }
}

/// Every part that is wrong, in words.
fn refusal(error: &RegisterError) -> Refused {
    let mut reasons = Vec::new();
    match error {
        RegisterError::Invalid(wrong) => {
            reasons.extend(wrong.username.map(|error| format!("the username {error}")));
            reasons.extend(wrong.email.map(|error| format!("the e-mail address {error}")));
            reasons.extend(wrong.password.map(|error| format!("the password {error}")));
        }
        RegisterError::Taken(taken) => {
            reasons.extend(taken.username.then(|| "the username is taken".to_owned()));
            reasons.extend(taken.email.then(|| "the e-mail address is taken".to_owned()));
        }
        error => reasons.push(error.to_string()),
    }
    Refused(reasons.join("; "))
}

/// The user whom an argument names.
pub(super) async fn find(app: &App, named: &str) -> Result<User, Refused> {
    let found = find_user_by_name(app.auth(), named).await.map_err(Refused::because)?;
    found.ok_or_else(|| Refused(format!("there is no user {named:?}; relatch user list shows who there is")))
}

fn name(user: &User) -> String {
    format!("{} (id {})", user.username.as_str(), user.id)
}

const HEADING: [&str; 7] = ["ID", "USERNAME", "E-MAIL", "ROLE", "STATUS", "CREATED", "LAST LOGIN"];

fn cells(user: &Value) -> Vec<String> {
    ["id", "username", "email", "role", "status", "createdAt", "lastLoginAt"].map(|member| cell(user, member)).to_vec()
}

/// A member as a table shows it.
pub(super) fn cell(row: &Value, member: &str) -> String {
    match row.get(member) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    }
}

fn to_json(user: &User) -> Value {
    let status = match user.status {
        UserStatus::Active => "active",
        UserStatus::Disabled { .. } => "disabled",
        UserStatus::Deleted { .. } => "deleted",
    };
    json!({
        "id": user.id.get(),
        "username": user.username.as_str(),
        "email": user.email.as_str(),
        "role": user.role.as_str(),
        "status": status,
        "createdAt": user.created_at.to_string(),
        "lastLoginAt": user.last_login_at.map(|at| at.to_string()),
    })
}
