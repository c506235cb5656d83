// A server to try libraries with, and the command line beside it.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { PASSWORD, startServer } from "../browser/server.js";

export const AUDIENCE = "relatch";

/** A server with an admin, root, and with saif, who is none. */
export const start = async (variables) => {
  const server = await startServer(variables);
  const relatch = (...command) => {
    const { status, stdout, stderr } = spawnSync(process.env.RELATCH_BINARY, [...command, "--json"], {
      cwd: server.folder,
      env: server.env,
      input: `${PASSWORD}\n`,
      encoding: "utf8",
    });
    if (status !== 0) throw new Error(`relatch ${command.join(" ")}: ${stderr}`);
    return stdout.trim() ? JSON.parse(stdout.trim().split("\n").at(-1)) : undefined;
  };
  relatch("user", "create", "--username", "root", "--email", "root@example.com", "--role", "admin", "--password-stdin");
  await server.api.register("saif");
  return { ...server, relatch };
};

/** A registered client with these scopes: its id and its secret. */
export const register = (server, ...scopes) => {
  const options = scopes.flatMap((scope) => ["--scope", scope]);
  const { id, clientSecret } = server.relatch("client", "create", "--name", "orders api", ...options);
  return { id, secret: clientSecret };
};

/** Starts an example's API and waits until it listens. */
export const startApi = async (issuer, folder, command, ...args) => {
  const env = { ...process.env, RELATCH_URL: issuer, AUDIENCE, PORT: "0" };
  const child = spawn(command, args, { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] });
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  let log = "";
  child.stderr.on("data", (text) => (log = (log + text).slice(-20_000)));
  const ended = once(child, "exit").then(() => {
    throw new Error(`${command} ended:\n${log}`);
  });
  ended.catch(() => {});
  const listening = (async () => {
    for await (const line of createInterface(child.stdout)) {
      const address = /listening on (http:\S+)/.exec(line);
      if (address) return address[1];
    }
    return ended;
  })();
  const base = await Promise.race([ended, listening]);
  const status = async (path, token) => {
    const headers = token ? { authorization: `Bearer ${token}` } : {};
    const answer = await fetch(base + path, { headers, signal: AbortSignal.timeout(20_000) });
    await answer.arrayBuffer();
    return answer.status;
  };
  const stop = async () => {
    child.kill("SIGKILL");
    await ended.catch(() => {});
    process.removeListener("exit", kill);
  };
  return { status, stop, log: () => log };
};

/** Asks until the answer is the wanted one; fails when it is not that within this time. */
export const within = async (milliseconds, wanted, ask) => {
  const end = performance.now() + milliseconds;
  for (;;) {
    const answer = await ask();
    if (answer === wanted) return milliseconds - (end - performance.now());
    // What is asked may be there already, and change only when events are heard.
    await new Promise(setImmediate);
    if (performance.now() > end) throw new Error(`${answer}, not ${wanted}, after ${milliseconds} ms`);
  }
};
