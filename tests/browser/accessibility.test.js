// Every page by axe-core, in light and dark, at three widths, with and without our module; and by its own policy.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { after, before, describe, test } from "node:test";
import { launch, newContext } from "./browser.js";
import { pagesOf, populate } from "./population.js";
import { startServer } from "./server.js";

const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const WIDTHS = [320, 768, 1280];
const SCHEMES = ["light", "dark"];

let server;
let browser;
let state;

before(async () => {
  server = await startServer();
  browser = await launch();
  const context = await newContext(browser);
  const { population, storage } = await populate(context, server);
  state = { population, storage };
  context.expectNothingWrong();
  await context.close();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

/** A context that is signed in, unless the page is for nobody in particular. */
const contextFor = async (shown, options = {}) => {
  const storageState = shown.as === "visitor" ? undefined : state.storage[shown.as ?? "admin"];
  return newContext(browser, { storageState, ...options });
};

/** What the colour scheme decides; everything else is the same in both. */
const OF_COLOUR = ["color-contrast", "link-in-text-block"];

const violations = async (page, rules) => {
  if (!(await page.evaluate("Boolean(window.axe)"))) await page.evaluate(AXE);
  const found = await page.evaluate((runOnly) => axe.run(document, { resultTypes: ["violations"], runOnly }), rules);
  return found.violations.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id}: ${target.join(" ")}: ${failureSummary.split("\n")[1]?.trim()}`),
  );
};

/** What is wider than the window, the innermost first. */
const tooWide = (page) =>
  page.evaluate(() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    if (scrollWidth <= clientWidth) return [];
    const wide = [...document.querySelectorAll("body *")].filter(
      (node) => node.getBoundingClientRect().right > clientWidth + 1,
    );
    return [`${scrollWidth} > ${clientWidth}`, ...wide.slice(-5).map((node) => node.outerHTML.slice(0, 120))];
  });

const look = async (page, widths = WIDTHS) => {
  const found = [];
  for (const width of widths) {
    await page.setViewportSize({ width, height: 900 });
    for (const colorScheme of SCHEMES) {
      await page.emulateMedia({ colorScheme });
      const rules = colorScheme === "dark" ? OF_COLOUR : undefined;
      for (const violation of await violations(page, rules)) found.push(`${width} ${colorScheme}: ${violation}`);
    }
    for (const element of await tooWide(page)) found.push(`${width}: ${element}`);
  }
  return found;
};

for (const module of ["loaded", "blocked"]) {
  describe(`with the module ${module}`, { concurrency: 2 }, () => {
    for (const shown of pagesOf()) {
      test(`${shown.name} is accessible and fits every width`, async () => {
        // axe has to be let in past the page's policy, which is checked below.
        const context = await contextFor(shown, { bypassCSP: true });
        if (module === "blocked") await context.route("**/assets/*.js", (route) => route.abort("aborted"));
        const page = await context.newPage();
        const answer = await page.goto(server.base + shown.path(state.population));
        assert.equal(answer.status(), shown.status ?? 200);
        await shown.then?.(page);
        assert.deepEqual(await look(page), []);
        context.expectNothingWrong();
        await context.close();
      });
    }
  });
}

describe("under its own policy", { concurrency: 2 }, () => {
  for (const shown of pagesOf()) {
    test(`${shown.name} reports nothing, logs nothing and loses no request`, async () => {
      const context = await contextFor(shown);
      const page = await context.newPage();
      await page.addInitScript(() => {
        window.reports = [];
        document.addEventListener("securitypolicyviolation", (event) =>
          window.reports.push(`${event.violatedDirective} ${event.blockedURI}`),
        );
      });
      const answer = await page.goto(server.base + shown.path(state.population), { waitUntil: "load" });
      assert.equal(answer.status(), shown.status ?? 200);
      await shown.then?.(page);
      assert.match(answer.headers()["content-security-policy"], /^default-src 'none'; script-src 'self'/);
      assert.deepEqual(await page.evaluate("window.reports"), []);
      assert.match(await page.title(), / – Relatch$/);
      assert.equal(await page.locator("main h1").count(), 1);
      context.expectNothingWrong();
      await context.close();
    });
  }

  test("what the policy forbids is seen by these tests", async () => {
    const context = await contextFor({});
    const page = await context.newPage();
    await page.goto(`${server.base}/admin`);
    await page.evaluate(() => document.body.append(Object.assign(document.createElement("script"), { text: "1" })));
    assert.throws(context.expectNothingWrong, /Content Security Policy/);
    await context.close();
  });
});
