//! A browser without scripts: it keeps cookies, follows nothing by itself, and sends the forms that it was shown.

use std::collections::BTreeMap;
use std::sync::Mutex;

use reqwest::Method;
use reqwest::header::HeaderMap;
use scraper::{Html, Selector};

use super::{Answer, TestApp};

/// A browser with its cookies.
pub struct Browser {
    client: reqwest::Client,
    base: String,
    cookies: Mutex<BTreeMap<String, String>>,
}

/// A form on a page: where it goes and what it sends, to be filled in.
#[derive(Clone, Debug)]
pub struct PageForm {
    pub action: String,
    pub fields: Vec<(String, String)>,
}

impl PageForm {
    /// With something written into a field.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.retain(|(other, _)| other != name);
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Without a field.
    pub fn without(mut self, name: &str) -> Self {
        self.fields.retain(|(other, _)| other != name);
        self
    }

    pub fn value(&self, name: &str) -> &str {
        self.fields.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    pub fn body(&self) -> String {
        let escaped = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let pairs = self.fields.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value)));
        pairs.collect::<Vec<_>>().join("&")
    }
}

impl Browser {
    pub fn new(app: &TestApp) -> Self {
        Self::at(&app.url(""))
    }

    /// With a server that is named by its address.
    pub fn at(base: &str) -> Self {
        let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { client, base: base.to_owned(), cookies: Mutex::default() }
    }

    /// Another browser with copies of this one's cookies, as a thief has them.
    pub fn copy(&self) -> Self {
        let cookies = Mutex::new(self.cookies.lock().unwrap().clone());
        Self { client: self.client.clone(), base: self.base.clone(), cookies }
    }

    pub fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.lock().unwrap().get(name).cloned()
    }

    pub fn set_cookie(&self, name: &str, value: &str) {
        self.cookies.lock().unwrap().insert(name.to_owned(), value.to_owned());
    }

    /// A request with the cookies, to be completed by hand.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.base));
        let cookies: Vec<_> =
            self.cookies.lock().unwrap().iter().map(|(name, value)| format!("{name}={value}")).collect();
        if cookies.is_empty() { request } else { request.header("cookie", cookies.join("; ")) }
    }

    pub async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let answer = Answer::of(request.send().await.expect("an answer")).await;
        self.keep_cookies(&answer.headers);
        answer
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    /// Sends a form.
    pub async fn submit(&self, form: &PageForm) -> Answer {
        self.send(self.submission(form)).await
    }

    /// The request that a form makes, to be completed by hand.
    pub fn submission(&self, form: &PageForm) -> reqwest::RequestBuilder {
        let request = self.request(Method::POST, &form.action);
        request.header("content-type", "application/x-www-form-urlencoded").body(form.body())
    }

    /// Signs in with the harness's password, and gives the answer.
    pub async fn sign_in(&self, username: &str) -> Answer {
        let page = self.get("/admin/sign-in").await.expect_status(200);
        let form = page.form("/admin/sign-in").with("identifier", username).with("password", super::PASSWORD);
        self.submit(&form).await
    }

    fn keep_cookies(&self, headers: &HeaderMap) {
        let mut cookies = self.cookies.lock().unwrap();
        for header in headers.get_all("set-cookie") {
            let header = header.to_str().unwrap();
            let (name, value) = header.split(';').next().unwrap().split_once('=').unwrap();
            if header.contains("Max-Age=0") {
                cookies.remove(name);
            } else {
                cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

impl Answer {
    /// The text of each element that a selector finds, without white space at its ends.
    pub fn texts(&self, selector: &str) -> Vec<String> {
        let page = Html::parse_document(&self.text);
        let selector = Selector::parse(selector).unwrap();
        page.select(&selector).map(|found| found.text().collect::<String>().trim().to_owned()).collect()
    }

    /// An attribute of each element that a selector finds.
    pub fn attributes(&self, selector: &str, name: &str) -> Vec<String> {
        let page = Html::parse_document(&self.text);
        let selector = Selector::parse(selector).unwrap();
        page.select(&selector).map(|found| found.attr(name).unwrap_or_default().to_owned()).collect()
    }

    /// The page's one heading.
    pub fn heading(&self) -> String {
        let headings = self.texts("h1");
        assert_eq!(headings.len(), 1, "{self:?}");
        headings[0].clone()
    }

    /// The form that goes to this path, as it was shown.
    pub fn form(&self, action: &str) -> PageForm {
        let page = Html::parse_document(&self.text);
        let forms = Selector::parse("form").unwrap();
        let form = page
            .select(&forms)
            .find(|form| form.attr("action") == Some(action))
            .unwrap_or_else(|| panic!("no form for {action}: {self:?}"));
        let inputs = Selector::parse("input, select, textarea").unwrap();
        let sent = |input: &scraper::ElementRef<'_>| {
            !["checkbox", "radio"].contains(&input.attr("type").unwrap_or_default()) || input.attr("checked").is_some()
        };
        let value = |input: scraper::ElementRef<'_>| {
            let name = input.attr("name")?.to_owned();
            Some((name, input.attr("value").unwrap_or("on").to_owned()))
        };
        PageForm { action: action.to_owned(), fields: form.select(&inputs).filter(sent).filter_map(value).collect() }
    }

    /// Checks that it leads to this path by GET.
    #[track_caller]
    pub fn expect_redirect(self, path: &str) -> Self {
        assert_eq!((self.status, self.header("location")), (303, path), "{self:?}");
        self
    }
}
