// Pictures of the console for its documentation: `node screenshots.js FOLDER FIXTURE_URL [png]`. The store behind
// FIXTURE_URL is filled; what it cannot have, sessions of which the tokens are known, is added by the API.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { launch, newContext, signIn } from "./browser.js";
import { ask, reuse } from "./population.js";
import { PASSWORD, startServer } from "./server.js";

const [folder, url, format = "webp"] = process.argv.slice(2);
const PHONE = { width: 390, height: 844 };
const DESK = { width: 1280, height: 860 };
const LAPTOP = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

const server = await startServer({ DATABASE_URL: url, hasAdmin: true, BCRYPT_COST: "10", INSECURE_DEVELOPMENT: "", RATE_LIMITS: "" });
const browser = await launch();
try {
  await mkdir(folder, { recursive: true });
  const { api } = server;
  const stolen = await reuse(api, "mei.nakamura", LAPTOP);
  const used = await api.signIn("jonas.berg", LAPTOP);
  for (let times = 0; times < 23; times += 1) await used.refresh();
  const admin = await api.signIn("root");
  const named = async (name) => {
    const found = await api.expect(200, `/api/users?search=${name}&limit=1`, { method: "GET", token: admin.access });
    return found[0].id;
  };
  const context = await newContext(browser);
  const page = await signIn(context, server.base, "root", PASSWORD);
  const devtools = await context.newCDPSession(page);

  /** In one look each: `light` or `dark`, `desk` or `phone`. */
  const picture = async (name, path, { look = ["light", "dark"], size = DESK, then } = {}) => {
    await page.setViewportSize(size);
    for (const colorScheme of look) {
      await page.emulateMedia({ colorScheme });
      await page.goto(server.base + path);
      await then?.();
      const { data } = await devtools.send("Page.captureScreenshot", { format, ...(format === "webp" && { quality: 40 }) });
      const file = join(folder, `${name}${size === PHONE ? "-phone" : ""}-${colorScheme}.${format}`);
      await writeFile(file, Buffer.from(data, "base64"));
    }
  };
  const press = (name) => async () => {
    await Promise.all([page.waitForEvent("load"), page.getByRole("button", { name, exact: true }).click()]);
  };
  const phone = { look: ["dark"], size: PHONE };

  // Sessions and users are counted by what deletes old rows.
  await page.goto(`${server.base}/admin/maintenance`);
  await press("Delete old rows now")();
  await picture("dashboard", "/admin?range=7d");
  await picture("dashboard", "/admin?range=7d", phone);
  await picture("users", "/admin/users?q=ma");
  await picture("users", "/admin/users?q=ma", phone);
  const mei = await named("mei.nakamura");
  await picture("user", `/admin/users/${mei}`);
  await picture("new-user", "/admin/users/new", { look: ["light"] });
  await picture("disable", `/admin/users/${mei}`, { look: ["light"], then: () => ask("Disable")(page) });
  await picture("sessions", "/admin/sessions");
  await picture("session-reuse", `/admin/sessions/${stolen.session}`);
  await picture("session-reuse", `/admin/sessions/${stolen.session}`, phone);
  await picture("session-long", `/admin/sessions/${used.session}`, { look: ["light"] });
  await picture("revoke-matching", "/admin/sessions?agent=curl", { look: ["light"], then: () => ask("Revoke all that match")(page) });
  await picture("audit", "/admin/audit");
  await picture("audit", "/admin/audit", phone);
  await page.goto(`${server.base}/admin/clients/new`);
  await page.getByLabel("Name").fill("Billing API");
  for (const scope of ["introspect", "users:read"]) await page.locator(`input[value="${scope}"]`).check();
  await press("Register")();
  await picture("clients", "/admin/clients");
  await page.getByRole("link", { name: "Billing API" }).click();
  await picture("client", new URL(page.url()).pathname, { look: ["light"] });
  await picture("keys", "/admin/keys");
  await picture("settings", "/admin/settings", { look: ["light"] });
  await picture("maintenance", "/admin/maintenance");
  await picture("my-account", "/admin/me", { look: ["light"] });
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.waitForURL("**/admin/sign-in");
  await picture("sign-in", "/admin/sign-in", { look: ["light"] });
  await picture("sign-in", "/admin/sign-in", phone);
} finally {
  await browser.close();
  await server.stop();
}
