// What our module adds, and what becomes of a page whose session has ended meanwhile.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { launch, newContext, setUp, signIn } from "./browser.js";
import { PASSWORD, startServer } from "./server.js";

let server;
let browser;
let context;
let page;

before(async () => {
  server = await startServer();
  browser = await launch();
  context = await newContext(browser);
  page = await setUp(context, server, "root", PASSWORD);
  for (const user of ["saif", "amina"]) {
    await server.api.register(user);
    await server.api.signIn(user);
  }
});
after(async () => {
  await context?.close();
  await browser?.close();
  await server?.stop();
});

const go = (path) => page.goto(server.base + path);
const ticked = () => page.locator("tbody input[name=id]:checked").count();

describe("keys", () => {
  for (const [keys, path] of [
    ["gu", "/admin/users"],
    ["gs", "/admin/sessions"],
    ["ga", "/admin/audit"],
    ["gk", "/admin/keys"],
    ["gd", "/admin"],
    ["?", "/admin/me"],
  ]) {
    test(`${keys} leads to ${path}`, async () => {
      await go("/admin/settings");
      for (const key of keys) await page.keyboard.press(key);
      await page.waitForURL((url) => url.pathname === path);
    });
  }

  test("/ goes to the search, where letters are letters", async () => {
    await go("/admin/users");
    await page.keyboard.press("/");
    await page.locator("#q:focus").waitFor();
    await page.keyboard.type("gs/?");
    assert.equal(await page.inputValue("#q"), "gs/?");
    assert.equal(new URL(page.url()).pathname, "/admin/users");
  });

  test("x ticks a row and r asks whether to revoke what is ticked", async () => {
    await go("/admin/sessions");
    await page.locator("tbody input[name=id]").first().focus();
    await page.keyboard.press("x");
    assert.equal(await ticked(), 1);
    await page.keyboard.press("x");
    assert.equal(await ticked(), 0);
    await page.keyboard.press("x");
    await page.keyboard.press("r");
    await page.getByRole("heading", { name: /Revoke 1 session/ }).waitFor();
  });

  test("all of them can be switched off", async () => {
    await go("/admin/me");
    await page.locator("[name=shortcuts]").uncheck();
    await page.getByRole("button", { name: "Save" }).click();
    await page.locator(".flash").waitFor();
    await page.keyboard.press("g");
    await page.keyboard.press("u");
    // Whatever the keys had begun would be over before this.
    assert.equal(await page.evaluate("fetch('/health/live').then(() => location.pathname)"), "/admin/me");
    await page.locator("[name=shortcuts]").check();
    await page.getByRole("button", { name: "Save" }).click();
    await page.locator("body[data-shortcuts=on]").waitFor();
  });
});

describe("a question", () => {
  const dialog = () => page.locator("dialog[open]");
  const disable = () => page.getByRole("button", { name: "Disable", exact: true });
  let saif;

  before(async () => {
    await go("/admin/users?q=saif");
    saif = await page.locator("td[data-label=Username] a").getAttribute("href");
  });

  test("is a dialog over the page, which has the keyboard until it is closed", async () => {
    await go(saif);
    for (const close of [
      () => page.keyboard.press("Escape"),
      () => dialog().getByRole("button", { name: "Close" }).click(),
      () => dialog().getByRole("link", { name: "Cancel" }).click(),
    ]) {
      await disable().focus();
      await page.keyboard.press("Enter");
      await page.getByRole("dialog", { name: "Disable: saif?" }).waitFor();
      await page.locator("dialog:focus").waitFor();
      for (let times = 0; times < 8; times += 1) {
        await page.keyboard.press("Tab");
        assert.ok(await page.evaluate("document.activeElement === document.body || !!document.activeElement.closest('dialog')"));
      }
      // Single keys are for the page below.
      await page.keyboard.press("?");
      await close();
      await page.locator("dialog").waitFor({ state: "detached" });
      assert.equal(await page.evaluate("document.activeElement.textContent"), "Disable");
      assert.equal(new URL(page.url()).pathname, saif);
    }
    await page.locator("dd", { hasText: "Active" }).waitFor();
  });

  test("is answered by its button", async () => {
    await go(saif);
    await disable().click();
    await dialog().getByRole("button", { name: "Disable" }).click();
    await page.locator(".flash.good", { hasText: "saif is disabled" }).waitFor();
    assert.equal(new URL(page.url()).pathname, saif);
    await page.getByRole("button", { name: "Enable", exact: true }).click();
    await page.locator(".flash.good", { hasText: "saif is enabled" }).waitFor();
  });

  test("knows which of several buttons was pressed", async () => {
    await go("/admin/users?q=saif");
    await page.locator("tbody input[name=id]").check();
    await page.locator(".bulk").getByRole("button", { name: "Disable" }).click();
    await page.getByRole("dialog", { name: /^Disable one user/ }).waitFor();
    assert.equal(await dialog().locator("[name=action]").inputValue(), "disable");
  });

  test("is a page where there is nothing to ask, and no action is done twice", async () => {
    await go("/admin/users");
    await page.locator(".bulk").getByRole("button", { name: "Disable" }).click();
    await page.locator(".flash.bad", { hasText: "No user is ticked" }).waitFor();
    assert.equal(await page.locator("dialog").count(), 0);
  });
});

test("two minutes before its end a session can be kept", async () => {
  const own = await context.newPage();
  await own.clock.install();
  await own.goto(`${server.base}/admin/keys`);
  const before = await own.locator("footer [data-ends-in]").textContent();
  assert.match(before, /^You are signed out at \d\d:\d\d unless you ask for a page before, and at \d\d:\d\d in any case\.$/);
  // A use is noted once a minute, so that it may be up to a minute less than half an hour.
  await own.clock.fastForward("26:50");
  assert.equal(await own.locator(".ending").count(), 0);
  await own.clock.fastForward("01:15");
  await own.locator("[aria-live=polite] .ending", { hasText: "You are signed out at" }).waitFor();
  await Promise.all([
    own.waitForResponse(`${server.base}/admin/me`),
    own.getByRole("button", { name: "Stay signed in" }).click(),
  ]);
  await own.locator(".ending").waitFor({ state: "detached" });
  // It is as before, and comes again.
  assert.equal(new URL(own.url()).pathname, "/admin/keys");
  await own.clock.fastForward("28:05");
  await own.locator(".ending").waitFor();
  await own.close();
});

test("Back shows nothing after the sign-out", async () => {
  const other = await newContext(browser);
  const own = await signIn(other, server.base, "root", PASSWORD);
  await own.goto(`${server.base}/admin/users`);
  await own.getByRole("link", { name: "saif", exact: true }).waitFor();
  await own.getByRole("button", { name: "Sign out" }).click();
  await own.waitForURL("**/admin/sign-in");
  await own.goBack();
  await own.waitForURL("**/admin/sign-in*");
  assert.equal(await own.getByRole("link", { name: "saif", exact: true }).count(), 0);
  other.expectNothingWrong();
  await other.close();
});

test("one box ticks all of a page", async () => {
  await go("/admin/sessions");
  const all = await page.locator("tbody input[name=id]").count();
  assert.ok(all > 1);
  await page.locator("input[data-all]").check();
  assert.equal(await ticked(), all);
  await page.locator("input[data-all]").uncheck();
  assert.equal(await ticked(), 0);
});

test("an id is copied", async () => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: server.base });
  await go("/admin/sessions");
  await page.locator("td[data-label=Began] a").first().click();
  const copy = page.locator("button.copy").first();
  await copy.click();
  await page.locator("button.copy", { hasText: "Copied" }).first().waitFor();
  const id = new URL(page.url()).pathname.split("/").at(-1);
  assert.equal(await page.evaluate("navigator.clipboard.readText()"), id);
});

test("the theme that somebody chose goes before the system's", async () => {
  const ground = () => page.evaluate("getComputedStyle(document.documentElement).backgroundColor");
  await page.emulateMedia({ colorScheme: "light" });
  await go("/admin/me");
  const light = await ground();
  await page.locator("[name=theme][value=dark]").check();
  await page.getByRole("button", { name: "Save" }).click();
  await page.locator("html[data-theme=dark]").waitFor();
  assert.notEqual(await ground(), light);
  await page.emulateMedia({ colorScheme: "dark" });
  await page.locator("[name=theme][value=light]").check();
  await page.getByRole("button", { name: "Save" }).click();
  await page.locator("html[data-theme=light]").waitFor();
  assert.equal(await ground(), light);
});

test("the first stop of the keyboard leads past the navigation", async () => {
  await go("/admin/users");
  await page.keyboard.press("Tab");
  const link = page.locator(".skip:focus");
  await link.waitFor();
  assert.ok((await link.boundingBox()).height >= 24);
  await page.keyboard.press("Enter");
  await page.locator("main:focus").waitFor();
});

test("a session that ended meanwhile leads to the sign-in, and from there back", async () => {
  await go("/admin/sessions?kind=console");
  const admin = await server.api.signIn("root");
  await server.api.expect(204, "/api/auth/logout-all", { token: admin.access });
  await page.reload();
  assert.equal(new URL(page.url()).pathname, "/admin/sign-in");
  await page.fill("#identifier", "root");
  await page.fill("#password", PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL(`${server.base}/admin/sessions?kind=console`);

  // What was to be done is not done, neither then nor after the sign-in.
  await go("/admin/me");
  await page.fill("[name=time_zone]", "Europe/Berlin");
  const other = await server.api.signIn("root");
  await server.api.expect(204, "/api/auth/logout-all", { token: other.access });
  await page.getByRole("button", { name: "Save" }).click();
  await page.waitForURL("**/admin/sign-in*");
  await page.fill("#identifier", "root");
  await page.fill("#password", PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL(`${server.base}/admin`);
  await go("/admin/me");
  assert.equal(await page.inputValue("[name=time_zone]"), "UTC");
});

test("nothing went wrong in any page on the way", () => context.expectNothingWrong());
