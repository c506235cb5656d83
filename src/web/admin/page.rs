//! Writing pages: their layout, their headers, and redirects.

use actix_web::error::InternalError;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{Error, HttpResponse};
use askama::Template;

use super::assets;
use super::flash::Flash;
use super::moment::Moment;
use crate::web::answer::OwnPage;
use crate::web::problem::Problem;

/// Nothing inline, nothing from elsewhere (ASVS 5.0 §3.4.3).
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
const PERMISSIONS_POLICY: &str = "camera=(), geolocation=(), microphone=(), payment=(), usb=()";

/// The parts of the console, for the navigation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "their labels say it")]
pub enum Tab {
    Dashboard,
    Users,
    Sessions,
    Audit,
    Blocks,
    Clients,
    Keys,
    Settings,
    Maintenance,
    Me,
}

impl Tab {
    /// Those that the navigation leads to, in its order. A part is listed as soon as it has a page.
    pub const NAVIGATION: &[Self] = &[
        Self::Dashboard,
        Self::Users,
        Self::Sessions,
        Self::Audit,
        Self::Blocks,
        Self::Clients,
        Self::Keys,
        Self::Settings,
        Self::Maintenance,
    ];

    /// What the navigation calls it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Dashboard => "Dashboard",
            Self::Users => "Users",
            Self::Sessions => "Sessions",
            Self::Audit => "Audit",
            Self::Blocks => "Blocks",
            Self::Clients => "Clients",
            Self::Keys => "Keys",
            Self::Settings => "Settings",
            Self::Maintenance => "Maintenance",
            Self::Me => "My account",
        }
    }

    /// Where it is.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Dashboard => "/admin",
            Self::Users => "/admin/users",
            Self::Sessions => "/admin/sessions",
            Self::Audit => "/admin/audit",
            Self::Blocks => "/admin/blocks",
            Self::Clients => "/admin/clients",
            Self::Keys => "/admin/keys",
            Self::Settings => "/admin/settings",
            Self::Maintenance => "/admin/maintenance",
            Self::Me => "/admin/me",
        }
    }
}

/// What is around a page's own content.
#[derive(Clone)]
pub struct Layout {
    /// The page's title and its one `h1`.
    pub title: String,
    /// Who is signed in.
    pub user: Option<String>,
    /// Whether they get to see the navigation.
    pub is_admin: bool,
    /// The token that every form carries.
    pub form_token: String,
    /// `system`, `light` or `dark`.
    pub theme: &'static str,
    /// Whether single keys are commands.
    pub shortcuts: bool,
    /// Messages, shown once.
    pub flashes: Vec<Flash>,
    /// Which part of the console this is.
    pub tab: Option<Tab>,
    /// When whoever is signed in will not be any more.
    pub ending: Option<Ending>,
}

/// When a session ends (WCAG 2.2 §2.2.1: people are told before).
#[derive(Clone)]
pub struct Ending {
    /// How long it is until then.
    pub seconds: u64,
    /// Hour and minute, unless a page is asked for before.
    pub at: Moment,
    /// Hour and minute, whatever is asked for. `None` when the two are one.
    pub at_the_latest: Option<Moment>,
}

impl Layout {
    /// For somebody who is not signed in.
    pub fn of_visitor(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            user: None,
            is_admin: false,
            form_token: String::new(),
            theme: "system",
            shortcuts: false,
            flashes: Vec::new(),
            tab: None,
            ending: None,
        }
    }

    /// Where the stylesheet is.
    pub fn stylesheet(&self) -> &'static str {
        assets::stylesheet().path()
    }

    /// Where the module is.
    pub fn module(&self) -> &'static str {
        assets::module().path()
    }

    /// Where the icon is.
    pub fn icon(&self) -> &'static str {
        assets::icon().path()
    }

    /// The version, for the footer.
    pub fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    /// The parts that the navigation leads to.
    pub fn navigation(&self) -> &'static [Tab] {
        Tab::NAVIGATION
    }

    /// Whether a part has pages that can be linked to.
    pub fn leads_to(&self, tab: &Tab) -> bool {
        Tab::NAVIGATION.contains(tab)
    }

    /// Whether this is the part that the page belongs to.
    pub fn is_current(&self, tab: &Tab) -> bool {
        self.tab == Some(*tab)
    }
}

/// A page.
pub fn show(page: &impl Template) -> Result<HttpResponse, Problem> {
    show_with(StatusCode::OK, page)
}

/// A page with a status of its own.
///
/// Its forms say where they come from: under `no-referrer`, browsers without `Sec-Fetch-Site` (Safari before 16.4) would
/// send `Origin: null`. Other sites learn nothing.
pub fn show_with(status: StatusCode, page: &impl Template) -> Result<HttpResponse, Problem> {
    let text = page.render().map_err(|error| Problem::failure(error, false))?;
    let mut answer = with_body(HttpResponse::new(status), text);
    answer.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    Ok(answer)
}

/// For a page whose address holds the secret of a link: no `Referer` has more of it than the origin.
pub(super) fn hide_address(mut answer: HttpResponse) -> HttpResponse {
    answer.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("strict-origin"));
    answer
}

/// A form that was not acceptable, with what is wrong with it.
pub fn show_again(page: &impl Template) -> Result<HttpResponse, Problem> {
    show_with(StatusCode::BAD_REQUEST, page)
}

/// A form that was refused for now, with the status and the headers of the problem, which `answer` logs like any other.
pub fn show_problem(problem: &Problem, page: &impl Template) -> Result<HttpResponse, Problem> {
    let text = page.render().map_err(|error| Problem::failure(error, false))?;
    let mut answer = with_body(problem.begin_answer().finish(), text);
    answer.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    answer.extensions_mut().insert(problem.clone());
    Ok(answer)
}

pub(super) fn with_body(answer: HttpResponse, text: String) -> HttpResponse {
    let mut answer = answer.set_body(text).map_into_boxed_body();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), PERMISSIONS_POLICY),
    ] {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer.extensions_mut().insert(OwnPage);
    answer
}

/// To another page, by GET whatever this was (RFC 9110 §15.4.4). `path` is one of ours.
pub fn see_other(path: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((header::LOCATION, path)).finish()
}

/// Answers with this in place of what a handler would have answered.
pub(super) fn instead(answer: HttpResponse) -> Error {
    InternalError::from_response("", answer).into()
}
