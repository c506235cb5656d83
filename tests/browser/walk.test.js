// A walk through the console as an admin takes it: with JavaScript and without, on SQLite and on Postgres. What is
// revoked on the way is asked for afterwards by the clients that had it.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { launch, newContext, setUp } from "./browser.js";
import { reuse } from "./population.js";
import { PASSWORD, forEachOf, startServer } from "./server.js";

const MANY = 2_000;
const GONE = { profile: 401, refresh: 401, code: "session_revoked" };
const LIVE = { profile: 200, refresh: 200, code: undefined };

let browser;
before(async () => (browser = await launch()));
after(() => browser?.close());

const walk = (name, { javaScriptEnabled, variables = () => ({}) }) =>
  describe(name, () => {
    let server;
    let context;
    let page;
    const clients = {};

    const button = (label) => page.getByRole("button", { name: label, exact: true });
    const flash = (text) => page.locator(".flash", { hasText: text }).waitFor();
    const go = (path) => page.goto(server.base + path);
    /** Waits for the page behind a click. Without it, a check could still read the page before. */
    const click = async (locator) => {
      await Promise.all([page.waitForEvent("domcontentloaded"), locator.click()]);
    };
    const row = (text) => page.locator("tbody tr", { hasText: text }).first();
    const rowOfAgent = (agent) => page.locator("tbody tr", { has: page.locator(`[title="${agent}"]`) });
    /** What asks first, in a dialog or on a page. */
    const ask = async (locator) => {
      await locator.click();
      await page.locator(".confirmation").waitFor();
      assert.equal(await page.locator("dialog[open]").count(), javaScriptEnabled ? 1 : 0);
    };
    /** Asked once more when the password was given too long ago, which it was not: so this only confirms. */
    const confirm = (label) => click(page.locator(".confirmation").getByRole("button", { name: label }));

    before(async () => {
      server = await startServer(variables());
      context = await newContext(browser, { javaScriptEnabled, acceptDownloads: true });
    });
    after(async () => {
      await context?.close();
      await server?.stop();
    });

    test("the printed link makes the first admin, once", async () => {
      page = await setUp(context, server, "root", PASSWORD);
      await page.goto(server.setupUrl);
      assert.equal(await page.locator("#username").count(), 0);
      await go("/admin");
      await click(button("Sign out"));
      assert.equal(new URL(page.url()).pathname, "/admin/sign-in");
    });

    test("a sign-in leads back to the page that was asked for", async () => {
      await go("/admin/me");
      assert.equal(new URL(page.url()).pathname, "/admin/sign-in");
      await page.fill("#identifier", "root@example.com");
      await page.fill("#password", "not the password");
      await click(button("Sign in"));
      await page.locator(".errors").waitFor();
      await page.fill("#password", PASSWORD);
      await click(button("Sign in"));
      assert.equal(new URL(page.url()).pathname, "/admin/me");
    });

    test("a user is found by the beginning of their name", async () => {
      for (const user of ["saif", "amina", "jonas"]) await server.api.register(user);
      clients.saif = await server.api.signIn("saif", "SaifsPhone/1.0");
      clients.saifsOther = await server.api.signIn("saif", "SaifsLaptop/1.0");
      clients.amina = await server.api.signIn("amina");
      await go("/admin/users");
      await page.fill("#q", "sai");
      await click(button("Show"));
      assert.equal(await page.locator("tbody tr").count(), 1);
      await click(page.getByRole("link", { name: "saif", exact: true }));
      assert.equal(await page.locator("h1").textContent(), "User saif");
      await page.locator("td[data-label=Agent]", { hasText: "SaifsPhone/1.0" }).waitFor();
    });

    test("the picture of a session says why somebody was signed out", async () => {
      const stolen = await reuse(server.api, "amina", "AminasPhone/1.0");
      await go(`/admin/sessions/${stolen.session}`);
      assert.match(await page.locator(".verdict").textContent(), /presented/);
      assert.ok((await page.locator("svg.rotations .cross").count()) > 0);
      // The same as a list, for whoever sees no picture.
      await page.locator("summary", { hasText: "The same as a list" }).click();
      await page.locator("ol.events li.bad").first().waitFor();
      assert.deepEqual(await stolen.answers(), { profile: 401, refresh: 401, code: "session_revoked" });
    });

    test("one session is revoked, and its client is refused at once", async () => {
      assert.deepEqual(await clients.saif.answers(), LIVE);
      await go(`/admin/sessions/${clients.saif.session}`);
      await ask(button("Revoke this session"));
      await confirm("Revoke");
      await page.locator(".flash.good").waitFor();
      assert.deepEqual(await clients.saif.answers(), GONE);
      assert.deepEqual(await clients.saifsOther.answers(), LIVE);
      assert.deepEqual(await clients.amina.answers(), LIVE);
    });

    test("the ticked sessions are revoked, and no other", async () => {
      clients.ticked = await server.api.signIn("jonas", "Ticked/1.0");
      clients.unticked = await server.api.signIn("jonas", "Unticked/1.0");
      await go("/admin/sessions?user=jonas");
      await rowOfAgent("Ticked/1.0").locator("input[name=id]").check();
      await ask(page.locator(".bulk").getByRole("button", { name: "Revoke", exact: true }));
      await confirm("Revoke");
      await page.locator(".flash.good").waitFor();
      assert.deepEqual(await clients.ticked.answers(), GONE);
      assert.deepEqual(await clients.unticked.answers(), LIVE);
    });

    test(`${MANY} sessions are revoked by a filter, and nothing else`, async () => {
      const fleet = [];
      await forEachOf(Array.from({ length: MANY }), 8, async () => {
        fleet.push(await server.api.signIn("jonas", "OldFleet/0.9"));
      });
      await go("/admin/sessions");
      await page.locator("summary", { hasText: "More filters" }).click();
      await page.fill("#agent", "OldFleet");
      await click(button("Show"));
      await ask(button("Revoke all that match"));
      assert.match(await page.locator(".confirmation").textContent(), /2,000|2000/);
      await confirm("Revoke");
      await page.locator(".flash.good", { hasText: /2,?000/ }).waitFor();
      for (const client of [fleet[0], fleet[MANY / 2], fleet[MANY - 1]]) assert.deepEqual(await client.answers(), GONE);
      assert.deepEqual(await clients.unticked.answers(), LIVE);
      assert.deepEqual(await clients.amina.answers(), LIVE);
      await go("/admin/sessions?agent=OldFleet");
      assert.equal(await page.locator("tbody tr").count(), 0);
    });

    test("a disabled user is signed out and stays out until they are enabled", async () => {
      const account = await server.api.send("/api/users/profile", { method: "GET", token: clients.amina.access });
      await go(`/admin/users/${account.body.id}`);
      await ask(button("Disable"));
      await confirm("Disable");
      await page.locator(".flash.good").waitFor();
      assert.equal((await clients.amina.profile()).status, 401);
      const refused = await server.api.send("/api/auth/refresh-token", { body: clients.amina.refreshToken });
      assert.equal(refused.status, 401);
      await click(button("Enable"));
      await page.locator(".flash.good").waitFor();
      clients.amina = await server.api.signIn("amina");
      assert.deepEqual(await clients.amina.answers(), LIVE);
    });

    test("the audit trail is filtered, and leads to what happened", async () => {
      await go("/admin/audit");
      await go("/admin/audit?type=user.disabled");
      assert.equal(await page.locator("tbody tr").count(), 1);
      await row("amina").waitFor();
      await go("/admin/audit?type=session.reuse_detected");
      assert.equal(await page.locator("tbody tr").count(), 1);
      await go("/admin/audit?type=user.deleted");
      assert.equal(await page.locator("tbody tr").count(), 0);
    });

    test("what is listed is exported", async () => {
      await go("/admin/users");
      const listed = await page.locator("td[data-label=Username]").allTextContents();
      const saved = async (name) => {
        const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name }).click()]);
        return readFile(await download.path(), "utf8");
      };
      const csv = (await saved(/CSV/)).trim().split("\r\n");
      assert.equal(csv.length, listed.length + 1);
      const lines = (await saved(/NDJSON/)).trim().split("\n");
      assert.deepEqual(lines.map((line) => JSON.parse(line).username).sort(), listed.map((name) => name.trim()).sort());
      await go("/admin/audit?type=user.disabled");
      const events = (await saved(/NDJSON/)).trim().split("\n");
      assert.equal(events.length, 1);
    });

    test("the keys are rotated when verifiers can know it, and at once in an emergency", async () => {
      const client = await server.api.signIn("amina");
      const roles = () => page.locator("td[data-label=Role]").allInnerTexts();
      const published = async () => (await (await fetch(`${server.base}/.well-known/jwks.json`)).json()).keys.length;
      await go("/admin/keys");
      await click(button("Rotate"));
      await confirm("Rotate");
      await flash("The next key signs from ");
      assert.deepEqual((await roles()).map((role) => role.replace(/\W+/g, "")), ["current", "next", "next"]);
      assert.equal(await published(), 3);
      assert.deepEqual(await client.answers(), LIVE);
      await go("/admin/keys");
      await click(button("Rotate and retire"));
      await confirm("Rotate and retire");
      await flash("Another key signs from now on.");
      assert.deepEqual((await roles()).map((role) => role.replace(/\W+/g, "")), ["current", "next", "retired"]);
      assert.equal(await published(), 2);
    });

    test("signing out ends the session on the server", async () => {
      const cookies = await context.cookies();
      await click(button("Sign out"));
      assert.equal(new URL(page.url()).pathname, "/admin/sign-in");
      await context.addCookies(cookies);
      await go("/admin");
      assert.equal(new URL(page.url()).pathname, "/admin/sign-in");
      context.expectNothingWrong();
    });
  });

walk("with JavaScript, on SQLite", { javaScriptEnabled: true });
walk("without JavaScript, on SQLite", { javaScriptEnabled: false });
walk("with JavaScript, on Postgres", {
  javaScriptEnabled: true,
  variables: () => {
    assert.ok(process.env.TEST_DATABASE_URL, "TEST_DATABASE_URL names no Postgres: run scripts/browser");
    return { DATABASE_URL: process.env.TEST_DATABASE_URL };
  },
});
