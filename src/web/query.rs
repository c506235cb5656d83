//! Parameters of the query, parsed into typed structs; what is wrong with them is a problem, never an echo.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use serde::de::DeserializeOwned;

use super::problem::{Code, FieldProblem, Problem};

/// How many rows a page has unless the client says otherwise, and at most.
pub const LIMIT: u32 = 50;
const LIMIT_MAX: u32 = 200;

/// The query of a request.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> FromRequest for Query<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let parsed = web::Query::<T>::from_query(request.query_string());
        ready(parsed.map(|query| Self(query.into_inner())).map_err(|_| {
            Problem::with_detail(
                Code::ValidationFailed,
                "A parameter of the query is there twice or of the wrong type.",
            )
        }))
    }
}

/// The page size: a number from 1 to 200.
pub fn limit(text: Option<&str>) -> Result<u32, Problem> {
    let Some(text) = text else { return Ok(LIMIT) };
    text.parse()
        .ok()
        .filter(|limit| (1..=LIMIT_MAX).contains(limit))
        .ok_or_else(|| wrong("limit", format_args!("must be a whole number from 1 to {LIMIT_MAX}")))
}

/// One parameter is wrong.
pub fn wrong(name: &str, detail: impl std::fmt::Display) -> Problem {
    Problem::fields(Code::ValidationFailed, vec![FieldProblem::parameter(name, detail)])
}
