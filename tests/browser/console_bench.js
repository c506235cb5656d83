// How long each page of the console takes, and how large it is: `node console_bench.js BASE [--sizes-only]`.
import { gzipSync } from "node:zlib";
import { PASSWORD } from "./server.js";

const LIMIT_MS = 50;
const LIMIT_BYTES = 40 * 1024;
const [base, option] = process.argv.slice(2);
const sizesOnly = option === "--sizes-only";
const [WARM_UP, TIMES] = sizesOnly ? [0, 1] : [10, Number(process.env.TIMES ?? 200)];
const FURTHER = sizesOnly ? 3 : 100;

const cookies = new Map();
const ask = async (path, body) => {
  const headers = { cookie: [...cookies].map((pair) => pair.join("=")).join("; ") };
  if (body) headers["content-type"] = "application/x-www-form-urlencoded";
  const answer = await fetch(base + path, {
    method: body ? "POST" : "GET",
    headers,
    body: body && new URLSearchParams(body).toString(),
    redirect: "manual",
  });
  const text = await answer.text();
  for (const line of answer.headers.getSetCookie?.() ?? [answer.headers.get("set-cookie")].filter(Boolean)) {
    const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
    cookies.set(name, value);
  }
  return { status: answer.status, text };
};
const unescape = (url) => url.replaceAll("&amp;", "&").replaceAll("&#38;", "&");
const first = (text, pattern) => pattern.exec(text)?.[1];

const signIn = async () => {
  let answer;
  // Passwords are hashed when nothing else has to be done: beside a build, that may take longer than a request waits.
  for (let attempt = 0; attempt < 40 && (answer === undefined || answer.status === 503); attempt += 1) {
    const form = await ask("/admin/sign-in");
    const token = first(form.text, /name="token" value="([^"]*)"/);
    answer = await ask("/admin/sign-in", { token, identifier: "root", password: PASSWORD });
  }
  if (answer.status !== 303) throw new Error(`the sign-in failed: ${answer.status}\n${answer.text}`);
};

/** The page that so many links to the next one lead to. */
const further = async (path, steps) => {
  let at = path;
  for (let step = 0; step < steps; step += 1) {
    const next = first((await ask(at)).text, /rel="next" href="([^"]+)"/);
    if (!next) return at;
    at = unescape(next);
  }
  return at;
};

const rows = [];
const quantile = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)];
const measure = async (name, path, status = 200) => {
  let answer;
  for (let time = 0; time < WARM_UP; time += 1) await ask(path);
  const times = [];
  for (let time = 0; time < TIMES; time += 1) {
    const began = performance.now();
    answer = await ask(path);
    times.push(performance.now() - began);
  }
  times.sort((a, b) => a - b);
  const bytes = gzipSync(answer.text).length;
  const [p50, p99] = [quantile(times, 0.5), quantile(times, 0.99)];
  const wrong = [
    ...(answer.status === status ? [] : [`status ${answer.status}`]),
    ...(p99 <= LIMIT_MS || sizesOnly ? [] : ["slow"]),
    ...(bytes <= LIMIT_BYTES ? [] : ["large"]),
  ];
  rows.push({ name, path, p50, p99, bytes, wrong });
};

await signIn();
const users = await ask("/admin/users");
const somebody = first(users.text, /href="\/admin\/users\/(\d+)"/);
const sessions = await ask("/admin/sessions");
const session = first(sessions.text, /href="\/admin\/sessions\/([0-9a-f-]{36})"/);
const events = await ask("/admin/audit");
const request = first(events.text, /<code>([0-9a-f]{8}-[0-9a-f-]{27})<\/code>/);
const address = first(events.text, /\b(100\.\d+\.\d+\.\d+)\b/);
const busiest = "2";
const today = new Date().toISOString().slice(0, 10);
const lastWeek = new Date(Date.now() - 7 * 86_400_000).toISOString().slice(0, 10);

const list = async (name, path) => {
  const and = path.includes("?") ? "&" : "?";
  await measure(name, path);
  await measure(`${name}, 25 per page`, `${path}${and}size=25`);
  await measure(`${name}, ${FURTHER} pages on`, await further(path, FURTHER));
};
await measure("dashboard", "/admin");
await measure("dashboard, 30 days", "/admin?range=30d");
await list("users", "/admin/users");
await measure("users, 200 per page", "/admin/users?size=200");
for (const link of users.text.matchAll(/<th scope="col"[^>]*><a href="([^"]+)"/g)) {
  const path = unescape(link[1]);
  if (!path.includes("sort=")) continue;
  await measure(`users, ${first(path, /sort=([^&]*)/)}`, path);
  const back = unescape(first((await ask(path)).text, /aria-sort="[^"]+"><a href="([^"]+)"/) ?? path);
  await measure(`users, ${first(back, /sort=([^&]*)/) ?? "in the order of before"}`, back);
}
for (const query of [
  "q=amina", "q=a", "q=nobody-at-all", "role=Admin", "role=User", "status=active", "status=disabled", "status=deleted",
  "role=Admin&status=disabled", "role=Admin&status=disabled&q=zain", "status=deleted&q=a", "q=a&sort=email",
  "q=a&role=User&status=active",
]) {
  await measure(`users, ${query}`, `/admin/users?${query}`);
}
await measure("a user", `/admin/users/${somebody}`);
await measure("a user with very many sessions", `/admin/users/${busiest}`);
await list("sessions", "/admin/sessions");
await list("sessions, any", "/admin/sessions?state=any&order=oldest");
for (const query of [
  "state=ended", "state=expired", "order=oldest", `user=${busiest}`, `user=${somebody}&state=any`, 
  "role=Admin", "role=Admin&state=any", "kind=console", "kind=api", `ip=${address}&state=any`, "ip=100.64.0.0/16", "ip=192.0.2.1",
  "agent=curl", "agent=no-such-agent", `created_after=${lastWeek}`, `created_before=${lastWeek}`, `used_after=${lastWeek}`,
  `used_before=${lastWeek}`, `used_after=${today}&role=Admin&agent=Pixel`,
]) {
  await measure(`sessions, ${query}`, `/admin/sessions?${query}`);
}
// A name that nobody has is a mistake in the form.
await measure("sessions, of nobody", "/admin/sessions?user=nobody-at-all", 400);
await measure("a session", `/admin/sessions/${session}`);
await measure("blocks", "/admin/blocks");
await list("audit", "/admin/audit");
for (const query of [
  "type=login.succeeded", "type=login.*", "type=session.reuse_detected", "type=user.purged", "result=denied", "result=failed",
  `actor=${somebody}`, "actor=1", `subject=${busiest}`, "subject=nobody-at-all", `ip=${address}`, "ip=100.64.0.0/16",
  "ip=192.0.2.1", `session=${session}`, `request_id=${request}`, `from=${lastWeek}&to=${today}`, "from=1990-01-01&to=1990-01-02",
  `type=login.failed&subject=${busiest}`, "actor=root&subject=nobody-at-all", "actor=root",
  // Each part has very many, and hardly anything is both.
  "actor=1&type=login.succeeded", "actor=1&result=denied", "actor=1&ip=100.64.0.0/16", "result=succeeded&ip=100.64.0.0/16",
  "result=denied&ip=100.64.0.0/10", "type=login.*&ip=100.64.0.0/10", `actor=1&type=login.*&from=${lastWeek}`,
]) {
  await measure(`audit, ${query}`, `/admin/audit?${query}`);
}
for (const page of ["keys", "settings", "maintenance", "me"]) await measure(page, `/admin/${page}`);

const pad = (text, width) => String(text).padStart(width);
if (!sizesOnly) console.log(`${"page".padEnd(56)}${pad("p50 ms", 9)}${pad("p99 ms", 9)}${pad("KB gz", 8)}`);
for (const { name, p50, p99, bytes, wrong } of sizesOnly ? rows.filter(({ wrong }) => wrong.length > 0) : rows) {
  const numbers = pad(p50.toFixed(1), 9) + pad(p99.toFixed(1), 9) + pad((bytes / 1024).toFixed(1), 8);
  console.log(`${name.slice(0, 55).padEnd(56)}${numbers}  ${wrong.join(", ")}`);
}
const wrong = rows.filter((row) => row.wrong.length > 0).length;
const slowest = Math.max(...rows.map((row) => row.p99));
const largest = Math.max(...rows.map((row) => row.bytes)) / 1024;
const limits = sizesOnly ? `${LIMIT_BYTES / 1024} KB` : `p99 ${LIMIT_MS} ms, ${LIMIT_BYTES / 1024} KB`;
const most = [...(sizesOnly ? [] : [`the slowest ${slowest.toFixed(1)} ms`]), `the largest ${largest.toFixed(1)} KB`].join(", ");
console.log(`\n${rows.length} pages, ${wrong} beyond a limit (${limits}), ${most}`);
process.exitCode = wrong === 0 ? 0 : 1;
