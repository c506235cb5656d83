// Who and what is in the store that pages are looked at with, and which pages there are.
import { setUp } from "./browser.js";
import { PASSWORD, forEachOf } from "./server.js";

const LONG = "a-rather-long-name-that-somebody-chose-for-themselves.2026";
const AGENTS = [
  "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
  "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
  "curl/8.5.0",
];

/**
 * Makes users, sessions and everything that pages show, by the API and the console. Gives what pages need to know of
 * it, and the cookies of an admin (`admin`) and of somebody who is none (`user`).
 */
export const populate = async (context, server) => {
  const { api, base } = server;
  const page = await setUp(context, server, "root", PASSWORD);
  for (const name of ["saif", "amina", "bela", LONG]) await api.register(name);
  const clients = [];
  await forEachOf(["saif", "saif", "amina", "bela", LONG], 2, async (name) => {
    clients.push(await api.signIn(name, AGENTS[clients.length % AGENTS.length]));
  });
  const admin = await api.signIn("root");
  const users = await api.expect(200, "/api/users", { method: "GET", token: admin.access });
  const idOf = Object.fromEntries(users.map(({ username, id }) => [username, id]));
  await api.expect(200, `/api/users/${idOf.bela}`, { method: "PATCH", body: { disabled: true }, token: admin.access });

  const registered = await api.expect(201, "/api/clients", {
    body: { name: "Billing API", scopes: ["introspect", "users:read"] },
    token: admin.access,
  });

  // A session with some rotations, one that was retried, one that was stolen, and one with a long history.
  const fresh = await api.signIn("saif", AGENTS[0]);
  const rotated = await api.signIn("saif", AGENTS[1]);
  for (let times = 0; times < 3; times += 1) await rotated.refresh();
  const stolen = await reuse(api, "saif", AGENTS[0]);
  const long = await api.signIn("amina", AGENTS[2]);
  for (let times = 0; times < 58; times += 1) await long.refresh();
  const ended = await api.signIn("amina", AGENTS[0]);
  await api.expect(204, `/api/sessions/${ended.session}`, { method: "DELETE", token: admin.access });

  const storage = { admin: await context.storageState() };
  await page.close();
  await context.clearCookies();
  const other = await (await context.browser().newContext()).newPage();
  await other.goto(`${base}/admin/sign-in`);
  await other.fill("#identifier", "saif");
  await other.fill("#password", PASSWORD);
  await other.getByRole("button", { name: "Sign in" }).click();
  await other.getByRole("heading", { level: 1 }).waitFor();
  storage.user = await other.context().storageState();
  await other.context().close();

  const population = {
    users: idOf,
    client: registered.id,
    long: LONG,
    sessions: {
      fresh: fresh.session,
      rotated: rotated.session,
      stolen: stolen.session,
      long: long.session,
      ended: ended.session,
    },
    setupLink: new URL(server.setupUrl).search,
  };
  return { population, storage };
};

/** A session that ends because a refresh token is presented again when its successor was used. */
export const reuse = async (api, username, agent) => {
  const client = await api.signIn(username, agent);
  const first = client.refreshToken;
  await client.refresh();
  await client.refresh();
  const answer = await api.send("/api/auth/refresh-token", { body: first, agent: "attacker/1.0" });
  if (answer.body?.code !== "refresh_token_reused") throw new Error(`no reuse: ${JSON.stringify(answer)}`);
  return client;
};

const press = (name) => async (page) => {
  await Promise.all([page.waitForEvent("load"), page.getByRole("button", { name, exact: true }).click()]);
};

/** Presses what asks before it acts: in a dialog where our module runs, and on a page of its own where it does not. */
export const ask = (name) => async (page) => {
  await page.getByRole("button", { name, exact: true }).click();
  await page.locator(".confirmation").waitFor();
};

/**
 * Every page, as somebody sees it: `admin` (unless said otherwise), `user` or `visitor`. What only a form leads to is
 * reached from the page at `path` by `then`.
 */
export const pagesOf = () => [
  { name: "the sign-in", path: () => "/admin/sign-in", as: "visitor" },
  { name: "a sign-in that failed", path: () => "/admin/sign-in", as: "visitor", then: press("Sign in") },
  { name: "a set-up link that is worth nothing", path: () => "/admin/setup?t=x", as: "visitor", status: 404 },
  { name: "the dashboard", path: () => "/admin" },
  { name: "the dashboard of 30 days", path: () => "/admin?range=30d" },
  { name: "a reset link that is worth nothing", path: () => "/reset?t=x", as: "visitor", status: 404 },
  { name: "the users", path: () => "/admin/users" },
  { name: "the users when none is found", path: () => "/admin/users?q=nobody-is-called-this" },
  { name: "the form for a new user", path: () => "/admin/users/new" },
  { name: "the form for a new user, wrong", path: () => "/admin/users/new", then: press("Create") },
  ...["saif", "bela", LONG].map((who) => ({
    name: `the user ${who.slice(0, 10)}`,
    path: ({ users }) => `/admin/users/${users[who]}`,
  })),
  {
    name: "the question whether to disable a user",
    path: ({ users }) => `/admin/users/${users[LONG]}`,
    then: ask("Disable"),
  },
  { name: "a reset link", path: ({ users }) => `/admin/users/${users.saif}`, then: press("Make a reset link") },
  { name: "a user who is not there", path: () => "/admin/users/999999", status: 404 },
  { name: "the sessions", path: () => "/admin/sessions?state=any" },
  { name: "the sessions when none is found", path: () => "/admin/sessions?user=root&state=expired" },
  { name: "the sessions by a wrong filter", path: () => "/admin/sessions?ip=nonsense&used_after=x", status: 400 },
  ...["fresh", "rotated", "stolen", "long", "ended"].map((which) => ({
    name: `a session (${which})`,
    path: ({ sessions }) => `/admin/sessions/${sessions[which]}`,
  })),
  {
    name: "the question whether to revoke a session",
    path: ({ sessions }) => `/admin/sessions/${sessions.long}`,
    then: ask("Revoke this session"),
  },
  {
    name: "the question whether to revoke all sessions",
    path: () => "/admin/sessions",
    then: ask("Revoke everybody's sessions"),
  },
  { name: "a session that is not there", path: () => "/admin/sessions/x", status: 404 },
  { name: "the audit trail", path: () => "/admin/audit" },
  { name: "the blocks", path: () => "/admin/blocks" },
  { name: "the audit trail of one user", path: ({ users }) => `/admin/audit?subject=${users.saif}&type=login.*` },
  { name: "the audit trail when nothing is found", path: () => "/admin/audit?from=1990-01-01&to=1990-01-02" },
  { name: "the audit trail by a wrong filter", path: () => "/admin/audit?ip=nonsense&from=x", status: 400 },
  { name: "the clients", path: () => "/admin/clients" },
  { name: "the form for a new client", path: () => "/admin/clients/new" },
  { name: "the form for a new client, wrong", path: () => "/admin/clients/new", then: press("Register") },
  { name: "a client", path: ({ client }) => `/admin/clients/${client}` },
  {
    name: "the question whether to disable a client",
    path: ({ client }) => `/admin/clients/${client}`,
    then: press("Disable"),
  },
  { name: "a client that is not there", path: () => "/admin/clients/x", status: 404 },
  { name: "the keys", path: () => "/admin/keys" },
  {
    name: "the question whether to rotate and retire the keys",
    path: () => "/admin/keys",
    then: press("Rotate and retire"),
  },
  { name: "the settings", path: () => "/admin/settings" },
  { name: "the maintenance", path: () => "/admin/maintenance" },
  { name: "my account", path: () => "/admin/me" },
  { name: "a page that is not there", path: () => "/admin/nothing", status: 404 },
  { name: "the console for somebody who is no admin", path: () => "/admin", as: "user", status: 403 },
];
