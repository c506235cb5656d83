//! The statements of the lists, written by hand: a walk that ends after so many rows is a query within a query, which
//! diesel cannot say, and SQLite is told which index to walk along.

use std::marker::PhantomData;

use diesel::backend::Backend;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::serialize::ToSql;
use diesel::sql_types::{BigInt, HasSqlType, Integer, Nullable, Text};

use super::Key;
use crate::domain::user::User;
use crate::store::connection::AnyConnection;
use crate::store::users::UserRow;

/// In the order of [`UserRow`]'s fields.
const COLUMNS: [&str; 11] = [
    "id",
    "username",
    "username_key",
    "email",
    "email_key",
    "role",
    "security_version",
    "created_at",
    "last_login_at",
    "disabled_at",
    "deleted_at",
];
type UserColumns =
    (BigInt, Text, Text, Text, Text, Text, BigInt, BigInt, Nullable<BigInt>, Nullable<BigInt>, Nullable<BigInt>);

/// What is walked along.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Along {
    Id,
    Username,
    Email,
    /// The last sign-in of those who have signed in.
    Login,
    /// The ids of those who never have.
    NoLogin,
}

impl Along {
    pub(super) const fn has_key(self, key: &Key) -> bool {
        matches!(
            (self, key),
            (Self::Id | Self::NoLogin, Key::Id(_))
                | (Self::Username | Self::Email, Key::Text(_))
                | (Self::Login, Key::Login(..))
        )
    }

    pub(super) fn key_of(self, user: &User) -> Key {
        let id = user.id.get();
        match self {
            Self::Id | Self::NoLogin => Key::Id(id),
            Self::Username => Key::Text(user.username.key().to_owned()),
            Self::Email => Key::Text(user.email.key().to_owned()),
            Self::Login => Key::Login(user.last_login_at.map_or(i64::MIN, |at| at.as_micros()), id),
        }
    }

    const fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Id | Self::NoLogin => &["id"],
            Self::Username => &["username_key"],
            Self::Email => &["email_key"],
            Self::Login => &["last_login_at", "id"],
        }
    }

    const fn condition(self) -> Option<&'static str> {
        match self {
            Self::Id | Self::Username | Self::Email => None,
            Self::Login => Some("u.last_login_at IS NOT NULL"),
            Self::NoLogin => Some("u.last_login_at IS NULL"),
        }
    }
}

/// Users who are few and have indexes of their own, or everybody.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Class {
    Everybody,
    Admins,
    Disabled,
    Deleted,
}

impl Class {
    const fn condition(self) -> Option<&'static str> {
        match self {
            Self::Everybody => None,
            Self::Admins => Some("u.role = 'Admin'"),
            Self::Disabled => Some("u.disabled_at IS NOT NULL"),
            Self::Deleted => Some("u.deleted_at IS NOT NULL"),
        }
    }

    /// The index that a walk uses; those of the table itself and of its unique constraints have no name.
    fn index(self, along: Along) -> Option<String> {
        let of_class = |ending: &str| {
            let class = match self {
                Self::Everybody => return None,
                Self::Admins => "admins",
                Self::Disabled => "disabled",
                Self::Deleted => "deleted",
            };
            Some(format!("users_{class}{ending}"))
        };
        match along {
            Along::Id => of_class(""),
            Along::Username => of_class("_by_username"),
            Along::Email => of_class("_by_email"),
            Along::Login => of_class("_by_last_login").or_else(|| Some("users_by_last_login".to_owned())),
            Along::NoLogin => of_class("").or_else(|| Some("users_never_signed_in".to_owned())),
        }
    }
}

/// Keys from one on, and below another.
#[derive(Clone, Debug)]
pub(super) struct Range {
    column: &'static str,
    start: String,
    end: String,
}

impl Range {
    pub(super) const fn new(along: Along, start: String, end: String) -> Self {
        let column = if matches!(along, Along::Email) { "email_key" } else { "username_key" };
        Self { column, start, end }
    }
}

/// A walk along an index.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    /// Its place among the list's walks, in ascending order.
    pub(super) number: u8,
    pub(super) along: Along,
    pub(super) class: Class,
    /// Between which keys.
    pub(super) range: Option<Range>,
    /// Whom another walk finds.
    pub(super) but_not: Option<Range>,
    /// Behind which key.
    pub(super) from: Option<Key>,
    /// What else is asked of `s`.
    pub(super) conditions: Vec<&'static str>,
    pub(super) ascending: bool,
}

/// What is wanted of walks.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wanted {
    /// Up to `limit` users of each, among the first `look`.
    Users { look: i64, limit: i64 },
    /// The last user of each whom [`Wanted::Users`] looks at, if it does not get to the end.
    LastLookedAt { look: i64 },
    /// How many users were looked at, up to so many, and how many of them are what is asked for.
    Count { look: i64 },
}

/// Users with the number of the walk that found them.
pub(super) fn users(
    connection: &mut AnyConnection,
    walks: &[Walk],
    wanted: Wanted,
) -> QueryResult<Vec<(i64, UserRow)>> {
    match connection {
        AnyConnection::Postgres(connection) => {
            Walks::<(BigInt, UserColumns)>::new(walks, wanted, false).load(connection)
        }
        AnyConnection::Sqlite(connection) => Walks::<(BigInt, UserColumns)>::new(walks, wanted, true).load(connection),
    }
}

/// How many users each walk looked at, and how many of them are what is asked for.
pub(super) fn count(connection: &mut AnyConnection, walks: &[Walk], look: i64) -> QueryResult<Vec<(i64, i64)>> {
    match connection {
        AnyConnection::Postgres(connection) => {
            Walks::<(BigInt, BigInt)>::new(walks, Wanted::Count { look }, false).load(connection)
        }
        AnyConnection::Sqlite(connection) => {
            Walks::<(BigInt, BigInt)>::new(walks, Wanted::Count { look }, true).load(connection)
        }
    }
}

/// How the database would do it, a step a line.
pub(super) fn explain(connection: &mut AnyConnection, walks: &[Walk], wanted: Wanted) -> QueryResult<String> {
    let lines: Vec<String> = match connection {
        AnyConnection::Postgres(connection) => {
            Walks::<Text> { explain: "EXPLAIN ", ..Walks::new(walks, wanted, false) }.load(connection)?
        }
        AnyConnection::Sqlite(connection) => {
            let steps: Vec<(i32, i32, i32, String)> = Walks::<(Integer, Integer, Integer, Text)> {
                explain: "EXPLAIN QUERY PLAN ",
                ..Walks::new(walks, wanted, true)
            }
            .load(connection)?;
            steps.into_iter().map(|(_, _, _, step)| step).collect()
        }
    };
    Ok(lines.join("\n"))
}

/// Walks, one behind the other. `Row` is what is loaded.
struct Walks<'a, Row> {
    explain: &'static str,
    walks: &'a [Walk],
    wanted: Wanted,
    /// Whether the index of each walk is named.
    names_indexes: bool,
    limit: i64,
    row: PhantomData<Row>,
}

impl<'a, Row> Walks<'a, Row> {
    const fn new(walks: &'a [Walk], wanted: Wanted, names_indexes: bool) -> Self {
        let limit = match wanted {
            Wanted::Users { limit, .. } => limit,
            Wanted::LastLookedAt { .. } | Wanted::Count { .. } => 1,
        };
        Self { explain: "", walks, wanted, names_indexes, limit, row: PhantomData }
    }

    /// Each walk's users, as far as it looks.
    fn push_walk<'b, DB>(&'b self, out: &mut AstPass<'_, 'b, DB>, walk: &'b Walk) -> QueryResult<()>
    where
        DB: Backend + HasSqlType<BigInt> + HasSqlType<Text>,
        i64: ToSql<BigInt, DB>,
        str: ToSql<Text, DB>,
    {
        out.push_sql("SELECT ");
        push_columns(out, "u");
        out.push_sql(" FROM users AS u");
        if let Some(index) = walk.class.index(walk.along).filter(|_| self.names_indexes) {
            out.push_sql(&format!(" INDEXED BY {index}"));
        }
        let mut joint = " WHERE ";
        for condition in [walk.class.condition(), walk.along.condition()].into_iter().flatten() {
            out.push_sql(joint);
            out.push_sql(condition);
            joint = " AND ";
        }
        if let Some(range) = &walk.range {
            push_range(out, "u", range, joint)?;
            joint = " AND ";
        }
        let beyond = if walk.ascending { ">" } else { "<" };
        match &walk.from {
            None => {}
            Some(Key::Id(id)) => {
                out.push_sql(&format!("{joint}u.id {beyond} "));
                out.push_bind_param::<BigInt, _>(id)?;
            }
            Some(Key::Text(key)) => {
                let column = walk.along.columns().first().copied().unwrap_or("username_key");
                out.push_sql(&format!("{joint}u.{column} {beyond} "));
                out.push_bind_param::<Text, str>(key)?;
            }
            Some(Key::Login(at, id)) => {
                out.push_sql(&format!("{joint}(u.last_login_at, u.id) {beyond} ("));
                out.push_bind_param::<BigInt, _>(at)?;
                out.push_sql(", ");
                out.push_bind_param::<BigInt, _>(id)?;
                out.push_sql(")");
            }
        }
        push_order(out, "u", walk);
        Ok(())
    }

    fn push_conditions<'b, DB>(out: &mut AstPass<'_, 'b, DB>, walk: &'b Walk) -> QueryResult<()>
    where
        DB: Backend + HasSqlType<Text>,
        str: ToSql<Text, DB>,
    {
        out.push_sql(&walk.conditions.join(" AND "));
        if let Some(range) = &walk.but_not {
            push_range(out, "s", range, " AND NOT (")?;
            out.push_sql(")");
        }
        Ok(())
    }
}

fn push_columns<DB: Backend>(out: &mut AstPass<'_, '_, DB>, of: &str) {
    for (at, column) in COLUMNS.iter().enumerate() {
        out.push_sql(&format!("{}{of}.{column}", if at == 0 { "" } else { ", " }));
    }
}

fn push_range<'b, DB>(out: &mut AstPass<'_, 'b, DB>, of: &str, range: &'b Range, before: &str) -> QueryResult<()>
where
    DB: Backend + HasSqlType<Text>,
    str: ToSql<Text, DB>,
{
    out.push_sql(&format!("{before}{of}.{} >= ", range.column));
    out.push_bind_param::<Text, str>(&range.start)?;
    out.push_sql(&format!(" AND {of}.{} < ", range.column));
    out.push_bind_param::<Text, str>(&range.end)
}

fn push_order<DB: Backend>(out: &mut AstPass<'_, '_, DB>, of: &str, walk: &Walk) {
    let direction = if walk.ascending { "ASC" } else { "DESC" };
    let columns: Vec<String> = walk.along.columns().iter().map(|column| format!("{of}.{column} {direction}")).collect();
    out.push_sql(&format!(" ORDER BY {}", columns.join(", ")));
}

impl<Row> QueryId for Walks<'_, Row> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Row, C: Connection> RunQueryDsl<C> for Walks<'_, Row> {}

impl<Row> Query for Walks<'_, Row> {
    type SqlType = Row;
}

impl<Row, DB> QueryFragment<DB> for Walks<'_, Row>
where
    DB: Backend + HasSqlType<BigInt> + HasSqlType<Text>,
    i64: ToSql<BigInt, DB>,
    str: ToSql<Text, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql(self.explain);
        for (at, walk) in self.walks.iter().enumerate() {
            out.push_sql(if at == 0 { "SELECT * FROM (SELECT " } else { " UNION ALL SELECT * FROM (SELECT " });
            match self.wanted {
                Wanted::Users { .. } | Wanted::LastLookedAt { .. } => {
                    out.push_sql(&format!("CAST({} AS BIGINT) AS walk, ", walk.number));
                    push_columns(&mut out, "s");
                }
                Wanted::Count { .. } => {
                    out.push_sql("count(*) AS looked_at, count(CASE WHEN ");
                    Self::push_conditions(&mut out, walk)?;
                    out.push_sql(" THEN 1 END) AS found");
                }
            }
            out.push_sql(" FROM (");
            self.push_walk(&mut out, walk)?;
            match self.wanted {
                Wanted::LastLookedAt { look } => out.push_sql(&format!(" LIMIT 1 OFFSET {}) AS s", look - 1)),
                Wanted::Users { look, .. } | Wanted::Count { look } => out.push_sql(&format!(" LIMIT {look}) AS s")),
            }
            if let Wanted::Users { .. } = self.wanted {
                out.push_sql(" WHERE ");
                Self::push_conditions(&mut out, walk)?;
                push_order(&mut out, "s", walk);
                out.push_sql(" LIMIT ");
                out.push_bind_param::<BigInt, _>(&self.limit)?;
            }
            out.push_sql(&format!(") AS w{}", walk.number));
        }
        Ok(())
    }
}
