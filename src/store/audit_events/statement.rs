//! Statements that are put together from text and values: diesel cannot say a query within a query that ends after so
//! many rows.

use std::marker::PhantomData;

use diesel::backend::Backend;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::serialize::ToSql;
use diesel::sql_types::{BigInt, Binary, HasSqlType, Text};

#[derive(Debug)]
enum Piece {
    Sql(String),
    Number(i64),
    Bytes(Vec<u8>),
    Text(String),
}

/// A statement, whose rows have the columns `Row`.
#[derive(Debug)]
pub(super) struct Statement<Row> {
    pieces: Vec<Piece>,
    row: PhantomData<Row>,
}

impl<Row> Statement<Row> {
    pub(super) const fn new() -> Self {
        Self { pieces: Vec::new(), row: PhantomData }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Goes on with this text, which must be our own.
    pub(super) fn sql(&mut self, text: &str) -> &mut Self {
        match self.pieces.last_mut() {
            Some(Piece::Sql(before)) => before.push_str(text),
            _ => self.pieces.push(Piece::Sql(text.to_owned())),
        }
        self
    }

    pub(super) fn number(&mut self, number: i64) -> &mut Self {
        self.pieces.push(Piece::Number(number));
        self
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.pieces.push(Piece::Bytes(bytes.to_vec()));
        self
    }

    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        self.pieces.push(Piece::Text(text.to_owned()));
        self
    }
}

impl<Row> QueryId for Statement<Row> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Row, C: Connection> RunQueryDsl<C> for Statement<Row> {}

impl<Row> Query for Statement<Row> {
    type SqlType = Row;
}

impl<Row, DB> QueryFragment<DB> for Statement<Row>
where
    DB: Backend + HasSqlType<BigInt> + HasSqlType<Binary> + HasSqlType<Text>,
    i64: ToSql<BigInt, DB>,
    [u8]: ToSql<Binary, DB>,
    str: ToSql<Text, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        // There are too many of them to keep, and a planner that knows the values does better.
        out.unsafe_to_cache_prepared();
        for piece in &self.pieces {
            match piece {
                Piece::Sql(text) => out.push_sql(text),
                Piece::Number(number) => out.push_bind_param::<BigInt, _>(number)?,
                Piece::Bytes(bytes) => out.push_bind_param::<Binary, [u8]>(bytes)?,
                Piece::Text(text) => out.push_bind_param::<Text, str>(text)?,
            }
        }
        Ok(())
    }
}
