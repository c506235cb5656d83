//! Who gets to see the console: the guard of its scope, and what handlers get from it.
//!
//! Role, status and session are read from the database for every request. A bearer token means nothing here.

use std::future::{Ready, ready};
use std::sync::Arc;

use actix_session::{Session, SessionExt as _};
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, FromRequest, HttpMessage as _, HttpRequest, HttpResponse};

use super::flash::{self, Flash};
use super::moment::{Moment, Zone};
use super::next::Next as NextPage;
use super::page::{self, Ending, Layout, Tab};
use super::{audit, error_page, session_store};
use crate::auth::Actor;
use crate::auth::audit::denial::note_denied;
use crate::auth::authenticate::Principal;
use crate::auth::console::{self, ConsoleUser, Form};
use crate::auth::ended;
use crate::domain::role::Role;
use crate::domain::timestamp::Timestamp;
use crate::secret::Secret;
use crate::web::client::ClientOf;
use crate::web::problem::Problem;
use crate::web::state::State;

/// The admin whose page this is.
#[derive(Clone)]
pub struct Console {
    user: Arc<ConsoleUser>,
    session: Session,
    state: Data<State>,
}

impl Console {
    /// Whoever is signed in, and everything that their session decides.
    pub fn user(&self) -> &ConsoleUser {
        &self.user
    }

    /// The user and the session.
    pub fn principal(&self) -> &Principal {
        &self.user.principal
    }

    /// On whose authority verbs act.
    pub fn actor(&self) -> Actor<'_> {
        Actor::User(&self.user.principal)
    }

    /// The token that every form carries.
    pub fn form_token(&self) -> String {
        console::form_token(&self.state.auth, Form::Session(self.user.session.id))
    }

    pub(super) fn accepts_form_token(&self, token: &str) -> bool {
        console::is_form_token(&self.state.auth, Form::Session(self.user.session.id), token)
    }

    /// Whether the password was given in the last five minutes.
    pub fn is_confirmed(&self) -> bool {
        self.user.is_confirmed(self.state.auth.now())
    }

    /// A point in time as the admin reads it, with UTC beside it.
    pub fn moment(&self, at: Timestamp) -> Moment {
        self.zone().moment(at)
    }

    /// The time zone that the admin reads times in.
    pub fn zone(&self) -> Zone {
        Zone::named(&self.user.preferences.time_zone)
    }

    /// When the session ends.
    fn ending(&self) -> Ending {
        let session = &self.user.session;
        let (idle, last) = (session.idle_expires_at, session.expires_at);
        let clock = |at: Timestamp| Moment { local: self.zone().clock(at), utc: at.to_string() };
        Ending {
            seconds: idle.since(self.state.auth.now()).as_secs(),
            at: clock(idle),
            at_the_latest: (idle < last).then(|| clock(last)),
        }
    }

    /// Says something on the next page.
    pub fn say(&self, flash: Flash) -> Result<(), Problem> {
        flash::say(&self.session, flash)
    }

    /// Says that something was done, on the page at `path`: the end of every action.
    pub fn done(&self, text: impl Into<String>, path: &str) -> Result<HttpResponse, Problem> {
        self.say(Flash::done(text))?;
        Ok(page::see_other(path))
    }

    /// Gives the cookie the key that a verb has drawn.
    pub(super) fn adopt(&self, key: &Secret<String>) -> Result<(), Problem> {
        session_store::adopt(&self.session, key)
    }

    /// What is around a page's own content. Messages for the page are shown by it, once.
    pub fn layout(&self, title: impl Into<String>, tab: Tab) -> Layout {
        let user = &self.user.principal.user;
        Layout {
            user: Some(user.username.as_str().to_owned()),
            is_admin: user.role == Role::Admin,
            form_token: self.form_token(),
            theme: self.user.preferences.theme.as_str(),
            shortcuts: self.user.preferences.shortcuts,
            flashes: flash::take(&self.session),
            ending: Some(self.ending()),
            tab: Some(tab),
            ..Layout::of_visitor(title)
        }
    }
}

impl FromRequest for Console {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let user = request.extensions().get::<Arc<ConsoleUser>>().cloned();
        ready(State::of(request).and_then(|state| {
            let user = user.ok_or_else(|| Problem::failure("a page of the console is outside of its guard", false))?;
            Ok(Self { user, session: request.get_session(), state })
        }))
    }
}

/// Whoever is signed in, admin or not, as the database has them now.
pub(super) async fn look_up(request: &HttpRequest) -> Result<Option<Console>, Problem> {
    let state = State::of(request)?;
    let session = request.get_session();
    let Some(id) = session_store::session_id(&session)? else { return Ok(None) };
    let ClientOf(client) = ClientOf::extract(request).await?;
    let user = if audit::is_live(request) {
        console::look_up_unused(&state.auth, id).await?
    } else {
        console::look_up(&state.auth, id, &client).await?
    };
    if user.is_none() {
        ended::log_use_of_ended(id, &client, "the session has ended");
    }
    Ok(user.map(|user| Console { user: Arc::new(user), session, state }))
}

/// Lets admins pass, and nobody else.
pub async fn admins_only<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    match look_up(request.request()).await? {
        None => {
            let answer = to_sign_in(request.request());
            Ok(request.into_response(answer))
        }
        Some(console) if console.principal().user.role != Role::Admin => {
            let asked = format!("{} /admin", request.method());
            let ClientOf(client) = ClientOf::extract(request.request()).await?;
            note_denied(&console.state.auth, console.principal(), &asked, &client).await;
            let answer = error_page::not_an_admin(&console)?;
            Ok(request.into_response(answer))
        }
        Some(console) => {
            request.extensions_mut().insert(console.user);
            Ok(next.call(request).await?.map_into_boxed_body())
        }
    }
}

/// To the sign-in, and from there back to the page that was asked for. What somebody wanted to do is not done later.
pub(super) fn to_sign_in(request: &HttpRequest) -> HttpResponse {
    let target = request.uri().path_and_query().map_or("", |target| target.as_str());
    let is_read = [Method::GET, Method::HEAD].contains(request.method());
    match NextPage::parse(target).filter(|next| is_read && !next.is_dashboard()) {
        Some(next) => page::see_other(&format!("/admin/sign-in?next={}", next.escaped())),
        None => page::see_other("/admin/sign-in"),
    }
}
