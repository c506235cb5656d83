//! Work that is done to its end, even when whoever asked for it has hung up or was told that it takes too long: a
//! request's future is dropped then, half-way through whatever it was at. What counts guesses must come to its end, or
//! right ones would stay counted and wrong ones leave no trace.

use actix_web::rt::spawn;

use super::problem::Problem;

/// Does the work on its own, and waits for what comes of it. It has begun before anybody waits, so that whoever does keeps
/// no room for it: not for as long as a request's body is still to come, either.
pub(super) fn to_the_end<T: 'static>(
    work: impl Future<Output = T> + 'static,
) -> impl Future<Output = Result<T, Problem>> {
    let task = spawn(work);
    async { task.await.map_err(|error| Problem::failure(error, false)) }
}
