// Debian's Chromium, driven by playwright-core, and everything that a page must never do.
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const EXECUTABLE = process.env.CHROMIUM ?? "/usr/bin/chromium";
/** Nothing is asked of anybody but the server under test. */
const QUIET = [
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-default-apps",
  "--disable-gpu",
  "--disable-quic",
  "--disable-sync",
  "--no-first-run",
];

export const launch = () =>
  chromium.launch({
    executablePath: EXECUTABLE,
    headless: true,
    // Chromium's sandbox does not start as root, which containers are as a rule.
    args: process.getuid() === 0 ? [...QUIET, "--no-sandbox"] : QUIET,
  });

/** A browser of its own: cookies, pages, and a list of what went wrong in them. */
export const newContext = async (browser, options = {}) => {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  context.setDefaultTimeout(15_000);
  const wrong = [];
  context.on("console", (message) => {
    // Chromium itself logs each answer that is an error; tests that ask for one say so.
    const expected = /^Failed to load resource: the server responded with a status of (400|403|404|409|429)/;
    if (["error", "warning"].includes(message.type()) && !expected.test(message.text())) {
      wrong.push(`console: ${message.text()}`);
    }
  });
  context.on("weberror", (error) => wrong.push(`error: ${error.error()}`));
  context.on("requestfailed", (request) => {
    const reason = request.failure()?.errorText;
    // A download ends the navigation that began it; a page that is left ends what it still asks for.
    if (reason !== "net::ERR_ABORTED") wrong.push(`request: ${request.url()} ${reason}`);
  });
  context.on("response", (response) => {
    const isPage = response.request().isNavigationRequest();
    if (response.status() >= 500 || (response.status() >= 400 && !isPage)) {
      wrong.push(`answer: ${response.url()} ${response.status()}`);
    }
  });
  /** Fails when a page has logged, lost or been refused anything since the last time. */
  context.expectNothingWrong = () => assert.deepEqual(wrong.splice(0), []);
  return context;
};

/** Signs in at the console, and gives the page. */
export const signIn = async (context, base, username, password) => {
  const page = await context.newPage();
  await page.goto(`${base}/admin/sign-in`);
  await page.fill("#identifier", username);
  await page.fill("#password", password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL(`${base}/admin`);
  return page;
};

/** The first admin, by the printed link. */
export const setUp = async (context, server, username, password) => {
  const page = await context.newPage();
  await page.goto(server.setupUrl);
  await page.fill("#username", username);
  await page.fill("#email", `${username}@example.com`);
  await page.fill("#password", password);
  await page.getByRole("button", { name: "Create the admin" }).click();
  await page.waitForURL(`${server.base}/admin`);
  return page;
};
