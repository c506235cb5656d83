//! What the list shows, as its URL says it. What cannot be read there counts as not said.

use serde::Deserialize;

use crate::auth::user_list::{At, Sort, SortBy, UserListQuery};
use crate::auth::users::StatusFilter;
use crate::domain::role::Role;

/// How many users a page can have.
pub(super) const SIZES: [usize; 4] = [25, 50, 100, 200];
const SIZE: usize = 50;
const NEWEST_FIRST: Sort = Sort { by: SortBy::Created, ascending: false };
const SORTS: [(SortBy, &str); 4] = [
    (SortBy::Created, "created"),
    (SortBy::Username, "username"),
    (SortBy::Email, "email"),
    (SortBy::LastLogin, "last_login"),
];

/// The query of the list, as it was written.
#[derive(Deserialize)]
pub struct UsersQuery {
    q: Option<String>,
    role: Option<String>,
    status: Option<String>,
    sort: Option<String>,
    after: Option<String>,
    before: Option<String>,
    size: Option<String>,
    pub(super) format: Option<String>,
}

/// What is shown, wherever in the list.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) search: String,
    pub(super) role: Option<Role>,
    pub(super) status: StatusFilter,
    pub(super) sort: Sort,
    pub(super) size: usize,
}

impl UsersQuery {
    pub(super) fn shown(&self) -> Shown {
        let text = |value: &Option<String>| value.as_deref().unwrap_or_default().trim().to_owned();
        Shown {
            search: text(&self.q),
            role: Role::parse(&text(&self.role)),
            status: match text(&self.status).as_str() {
                "active" => StatusFilter::Active,
                "disabled" => StatusFilter::Disabled,
                "deleted" => StatusFilter::Deleted,
                _ => StatusFilter::Existing,
            },
            sort: sort(&text(&self.sort)),
            size: text(&self.size).parse().ok().filter(|size| SIZES.contains(size)).unwrap_or(SIZE),
        }
    }

    pub(super) fn at(&self) -> At {
        match (&self.after, &self.before) {
            (Some(cursor), _) => At::After(cursor.clone()),
            (None, Some(cursor)) => At::Before(cursor.clone()),
            (None, None) => At::Start,
        }
    }
}

impl Shown {
    pub(super) fn query(&self) -> UserListQuery {
        UserListQuery { search: Some(self.search.clone()), role: self.role, status: self.status, sort: self.sort }
    }

    /// Whether anything is left out of the list.
    pub(super) fn is_filtered(&self) -> bool {
        !self.search.is_empty() || self.role.is_some() || self.status != StatusFilter::Existing
    }

    pub(super) fn has_role(&self, role: &Role) -> bool {
        self.role == Some(*role)
    }

    pub(super) const fn status_name(&self) -> &'static str {
        match self.status {
            StatusFilter::Existing => "",
            StatusFilter::Active => "active",
            StatusFilter::Disabled => "disabled",
            StatusFilter::Deleted => "deleted",
        }
    }

    /// The URL of something that shows the same, with more said; what is usual is left out.
    pub(super) fn url(&self, path: &str, more: &[(&str, &str)]) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let role = self.role.map_or("", Role::as_str);
        let sort = if self.sort == NEWEST_FIRST { String::new() } else { sort_name(self.sort) };
        let size = if self.size == SIZE { String::new() } else { self.size.to_string() };
        let own = [
            ("q", self.search.as_str()),
            ("role", role),
            ("status", self.status_name()),
            ("sort", &sort),
            ("size", &size),
        ];
        for (name, value) in own.iter().chain(more).filter(|(_, value)| !value.is_empty()) {
            query.append_pair(name, value);
        }
        let query = query.finish();
        if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
    }
}

/// `email` is ascending, `-email` descending.
pub(super) fn sort_name(sort: Sort) -> String {
    let name = SORTS.iter().find(|(by, _)| *by == sort.by).map_or("created", |(_, name)| name);
    if sort.ascending { name.to_owned() } else { format!("-{name}") }
}

fn sort(text: &str) -> Sort {
    let (ascending, name) = text.strip_prefix('-').map_or((true, text), |name| (false, name));
    let by = SORTS.iter().find(|(_, known)| *known == name);
    by.map_or(NEWEST_FIRST, |(by, _)| Sort { by: *by, ascending })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(query: &str) -> Shown {
        let query = actix_web::web::Query::<UsersQuery>::from_query(query).unwrap();
        query.shown()
    }

    #[test]
    fn a_url_says_what_is_shown_and_is_said_again() {
        for url in [
            "/admin/users",
            "/admin/users?q=a%26b+%3C&role=Admin&status=disabled&sort=email&size=100",
            "/admin/users?status=deleted&sort=-last_login",
            "/admin/users?sort=created",
        ] {
            let query = url.split_once('?').map_or("", |(_, query)| query);
            assert_eq!(shown(query).url("/admin/users", &[]), url);
        }
    }

    #[test]
    fn what_cannot_be_read_counts_as_not_said() {
        let plain = shown("role=root&status=gone&sort=password_hash&size=1000000&q=++");
        assert_eq!(plain.url("/admin/users", &[]), "/admin/users");
        assert!(!plain.is_filtered());
    }
}
