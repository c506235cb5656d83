// A server of the built binary for tests, with a store and a folder of its own, and a client of its API.
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const BINARY = process.env.RELATCH_BINARY;
/** Long enough for every rule, and on no list of common passwords. */
export const PASSWORD = "correct horse battery staple";

export const freePort = async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
};

/**
 * Starts a server and waits until it serves; on a store that has an admin it prints no link. `stop` ends it and removes
 * what it wrote.
 */
export const startServer = async ({ hasAdmin = false, ...variables } = {}) => {
  if (!BINARY) throw new Error("RELATCH_BINARY names no binary: run scripts/browser");
  const folder = await mkdtemp(join(tmpdir(), "relatch-browser."));
  const port = await freePort();
  const base = `http://127.0.0.1:${port}`;
  const env = {
    LISTEN_ADDR: `127.0.0.1:${port}`,
    PUBLIC_URL: base,
    SECRET_KEY: randomBytes(32).toString("base64"),
    INSECURE_DEVELOPMENT: "on",
    BCRYPT_COST: "4",
    // Everybody signs in from one address here, and many times.
    RATE_LIMITS: "off",
    MAX_SESSIONS_PER_USER: "10000",
    ...variables,
  };
  const child = spawn(BINARY, [], { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] });
  // A test process that is ended early leaves no server behind.
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  let log = "";
  child.stderr.on("data", (text) => (log = (log + text).slice(-20_000)));
  const ended = once(child, "exit").then(() => {
    throw new Error(`the server ended:\n${log}`);
  });
  ended.catch(() => {});
  const lines = createInterface(child.stdout);
  const setupUrl = await Promise.race([
    ended,
    (async () => {
      for await (const line of lines) {
        const link = /\S+\/admin\/setup\?t=\S+/.exec(line);
        if (link) return link[0];
        if (hasAdmin && / serves on /.test(line)) return "";
      }
      throw new Error(`the server printed no link:\n${log}`);
    })(),
  ]);
  const stop = async () => {
    child.kill("SIGTERM");
    await ended.catch(() => {});
    process.removeListener("exit", kill);
    await rm(folder, { recursive: true, force: true });
  };
  return { base, setupUrl, folder, env, stop, log: () => log, api: new Api(base) };
};

/** What an application sees: the JSON API. */
export class Api {
  constructor(base) {
    this.base = base;
  }

  async send(path, { method = "POST", body, token, agent } = {}) {
    const headers = { "user-agent": agent ?? "browser-tests/1.0" };
    if (body !== undefined) headers["content-type"] = "application/json";
    if (token) headers.authorization = `Bearer ${token}`;
    const answer = await fetch(this.base + path, { method, headers, body: body && JSON.stringify(body) });
    const text = await answer.text();
    return { status: answer.status, body: text ? JSON.parse(text) : undefined };
  }

  async expect(status, path, options) {
    const answer = await this.send(path, options);
    if (answer.status !== status) throw new Error(`${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  register(username, email = `${username}@example.com`) {
    return this.expect(201, "/api/users/register", { body: { username, email, password: PASSWORD } });
  }

  /** Signs in, and keeps the pair: a client as applications have one. */
  async signIn(username, agent) {
    const pair = await this.expect(200, "/api/auth/login", { body: { username, password: PASSWORD }, agent });
    return new Client(this, pair, agent);
  }
}

/** An application that somebody is signed in to. */
export class Client {
  constructor(api, pair, agent) {
    Object.assign(this, { api, agent });
    this.keep(pair);
  }

  keep(pair) {
    this.session = pair.sessionId;
    this.access = pair.jwtToken;
    this.refreshToken = pair.refreshToken;
  }

  /** Spends the refresh token. */
  async refresh() {
    this.keep(await this.api.expect(200, "/api/auth/refresh-token", { body: this.refreshToken, agent: this.agent }));
  }

  profile() {
    return this.api.send("/api/users/profile", { method: "GET", token: this.access });
  }

  /** The two answers that tell whether somebody is still signed in. */
  async answers() {
    const profile = await this.profile();
    const refresh = await this.api.send("/api/auth/refresh-token", { body: this.refreshToken });
    if (refresh.status === 200) this.keep(refresh.body);
    return { profile: profile.status, refresh: refresh.status, code: refresh.body?.code };
  }
}

/** Does something for each of many, a few at a time. */
export const forEachOf = async (all, atOnce, task) => {
  const rest = [...all];
  const work = async () => {
    while (rest.length > 0) await task(rest.shift());
  };
  await Promise.all(Array.from({ length: atOnce }, work));
};
