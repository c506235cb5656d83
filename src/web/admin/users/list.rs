//! `GET /admin/users`

use actix_web::HttpResponse;
use actix_web::web::Data;
use askama::Template;

use super::query::{SIZES, Shown, UsersQuery, sort_name};
use super::state_words::{self, Badge};
use crate::auth::user_list::{At, ListedUser, Sort, SortBy, UserListPage, leaf_through_users};
use crate::auth::users::ListError;
use crate::domain::role::Role;
use crate::web::admin::flash::Flash;
use crate::web::admin::guard::Console;
use crate::web::admin::moment::Moment;
use crate::web::admin::page::{self, Layout, Tab};
use crate::web::problem::Problem;
use crate::web::query::Query;
use crate::web::state::State;

const PATH: &str = "/admin/users";

#[derive(Template)]
#[template(path = "admin/users.html")]
struct ListPage {
    layout: Layout,
    shown: Shown,
    sizes: [usize; 4],
    roles: [Role; 2],
    heads: Vec<Head>,
    users: Vec<Row>,
    /// Instead of the table, when it would be empty.
    nobody: String,
    count: String,
    /// What the link to the next page says.
    further: &'static str,
    next: String,
    previous: String,
    first: String,
    csv: String,
    ndjson: String,
}

/// A heading of the table; with a link where an index serves the order.
struct Head {
    label: &'static str,
    url: String,
    /// `aria-sort`, of the column that the list is sorted by.
    order: &'static str,
}

struct Row {
    id: i64,
    username: String,
    email: String,
    role: &'static str,
    badge: Badge,
    created: Moment,
    last_login: Option<Moment>,
    live_sessions: i64,
}

/// `GET /admin/users`
pub async fn list_users(
    state: Data<State>,
    console: Console,
    Query(query): Query<UsersQuery>,
) -> Result<HttpResponse, Problem> {
    let (shown, at) = (query.shown(), query.at());
    let is_first = matches!(at, At::Start);
    let mut layout = console.layout("Users", Tab::Users);
    let (found, is_first) = match leaf_through_users(&state.auth, &shown.query(), at, shown.size).await {
        Err(ListError::BadCursor(_)) => {
            let text = "The link to that page does not fit this list any more. This is the first page.";
            layout.flashes.push(Flash::refused(text));
            (leaf_through_users(&state.auth, &shown.query(), At::Start, shown.size).await?, true)
        }
        found => (found?, is_first),
    };
    page::show(&ListPage {
        layout,
        sizes: SIZES,
        roles: [Role::Admin, Role::User],
        heads: heads(&shown),
        nobody: nobody(&shown, &found, is_first),
        count: count(&shown, &found),
        further: if found.is_cut { "Look further" } else { "Next page" },
        next: found.next.as_deref().map_or_else(String::new, |cursor| shown.url(PATH, &[("after", cursor)])),
        previous: found.previous.as_deref().map_or_else(String::new, |cursor| shown.url(PATH, &[("before", cursor)])),
        first: if is_first { String::new() } else { shown.url(PATH, &[]) },
        csv: shown.url("/admin/users/export", &[("format", "csv")]),
        ndjson: shown.url("/admin/users/export", &[("format", "ndjson")]),
        users: found.users.into_iter().map(|listed| row(&console, listed)).collect(),
        shown,
    })
}

fn row(console: &Console, ListedUser { user, live_sessions }: ListedUser) -> Row {
    Row {
        id: user.id.get(),
        role: user.role.as_str(),
        badge: state_words::of_user(&user),
        created: console.moment(user.created_at),
        last_login: user.last_login_at.map(|at| console.moment(at)),
        username: user.username.as_str().to_owned(),
        email: user.email.as_str().to_owned(),
        live_sessions,
    }
}

fn heads(shown: &Shown) -> Vec<Head> {
    let current = shown.query().effective_sort();
    let head = |label, by: Option<SortBy>| {
        let is_current = by == Some(current.by);
        // What is searched for is sorted by what was found.
        let is_offered = match by {
            None => false,
            Some(SortBy::Username | SortBy::Email) => true,
            Some(SortBy::Created | SortBy::LastLogin) => shown.search.is_empty(),
        };
        // Names first from A, times first from the newest.
        let first = matches!(by, Some(SortBy::Username | SortBy::Email));
        let ascending = if is_current { !current.ascending } else { first };
        let sorted = by.filter(|_| is_offered).map(|by| Shown { sort: Sort { by, ascending }, ..shown.clone() });
        Head {
            label,
            url: sorted.map_or_else(String::new, |sorted| sorted.url(PATH, &[])),
            order: match (is_current, current.ascending) {
                (false, _) => "",
                (true, true) => "ascending",
                (true, false) => "descending",
            },
        }
    };
    vec![
        head("Username", Some(SortBy::Username)),
        head("E-mail", Some(SortBy::Email)),
        head("Role", None),
        head("Status", None),
        head("Created", Some(SortBy::Created)),
        head("Last sign-in", Some(SortBy::LastLogin)),
        head("Live sessions", None),
    ]
}

fn nobody(shown: &Shown, found: &UserListPage, is_first: bool) -> String {
    let is_plain = shown.role.is_none() && shown.status_name().is_empty();
    if !found.users.is_empty() {
        String::new()
    } else if found.is_cut {
        format!(
            "None of the {} users that were looked at is like that. Look further.",
            thousands(shown.query().looks_at())
        )
    } else if !is_first {
        "There are no more users.".to_owned()
    } else if is_plain && !shown.search.is_empty() {
        format!("No user starts with ‘{}’.", shown.search)
    } else if shown.is_filtered() {
        "No user is like that.".to_owned()
    } else {
        "There are no users.".to_owned()
    }
}

/// `1–50 of 10,000+`
fn count(asked: &Shown, found: &UserListPage) -> String {
    let total = thousands(found.count.at_least);
    let total = if found.count.more { format!("{total}+") } else { total };
    let shown = i64::try_from(found.users.len()).unwrap_or(i64::MAX);
    let before = i64::try_from(found.before).unwrap_or(i64::MAX);
    let range = match shown {
        0 => "0".to_owned(),
        1 => thousands(before + 1),
        _ => format!("{}–{}", thousands(before + 1), thousands(before.saturating_add(shown))),
    };
    let cut = format!("; this page looked at {} users", thousands(asked.query().looks_at()));
    format!("{range} of {total}{}", if found.is_cut { &cut } else { "" })
}

/// A number with a comma at each thousand.
fn thousands(number: i64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

impl ListPage {
    fn current_sort(&self) -> String {
        sort_name(self.shown.sort)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_told_apart() {
        let written = [0, 999, 1_000, 20_000, 1_234_567].map(thousands);
        assert_eq!(written, ["0", "999", "1,000", "20,000", "1,234,567"]);
    }
}
