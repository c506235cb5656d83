// nginx, as the README configures it, and HAProxy in front of the server: both see the same requests, and who sent them.
// Requirements: K5, Q1.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { freePort, startServer } from "../browser/server.js";
import { within } from "./tools.js";

/** What is logged of a request by all of them: method, path and status. */
const LINE = /^seen (\S+) (\S+) (\d+)$/gm;
/** A network of its own beside the proxy's on this machine. */
const ELSEWHERE = "127.9.9.9";
const LAST_OF_README = 'proxy_set_header Forwarded "";';
/** Connections to the server that are kept are what a hidden request would need. */
const KEPT = 'proxy_http_version 1.1; proxy_set_header Connection "";';

/** The README's server block, with this port and address in place of TLS and its address. */
const nginxOfReadme = async (port, backend) => {
  const text = await readFile("README.md", "utf8");
  const [, block] = /```nginx\n([^]*?)```/.exec(text);
  const plain = block
    .replace("listen 443 ssl;", `listen 127.0.0.1:${port};`)
    .replace(/ *ssl_certificate.*\n/g, "")
    .replaceAll("http://127.0.0.1:8080", "http://relatch");
  assert.ok(!/ssl|443|8080/.test(plain) && plain.includes(LAST_OF_README), "the README's block is another one");
  return `upstream relatch { server ${backend}; keepalive 8; }\n${plain}`;
};

const nginx = (keeps) => async (folder, port, backend) => {
  const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((kind) => `${kind}_temp_path ${folder}/${kind};`);
  const block = await nginxOfReadme(port, backend);
  const text = `
daemon off; master_process off; pid ${folder}/pid; error_log stderr warn;
events { worker_connections 512; }
http {
  ${paths.join(" ")}
  log_format seen "seen $request_method $uri $status";
  access_log ${folder}/access.log seen;
  client_header_timeout 2s; client_body_timeout 2s;
  ${keeps ? block.replace(LAST_OF_README, `${LAST_OF_README} ${KEPT}`) : block}
}
`;
  await writeFile(`${folder}/nginx.conf`, text);
  const args = ["-p", folder, "-e", "stderr", "-c", `${folder}/nginx.conf`];
  return { command: "nginx", args, log: `${folder}/access.log` };
};

const haproxy = async (folder, port, backend) => {
  const text = `
global
  log stdout format raw local0
defaults
  mode http
  timeout connect 5s
  timeout client 2s
  timeout server 10s
  timeout http-request 2s
  http-reuse always
frontend clients
  bind 127.0.0.1:${port}
  log global
  log-format "seen %HM %HP %ST"
  http-request set-header X-Forwarded-For %[src]
  http-request del-header Forwarded
  default_backend relatch
backend relatch
  server relatch ${backend}
`;
  await writeFile(`${folder}/haproxy.cfg`, text);
  return { command: "haproxy", args: ["-db", "-f", `${folder}/haproxy.cfg`] };
};

/** Starts a proxy and waits until it passes something on. */
const startProxy = async (configure, backend) => {
  const folder = await mkdtemp(join(tmpdir(), "relatch-proxy."));
  const port = await freePort();
  const { command, args, log } = await configure(folder, port, backend);
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  let printed = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (printed += text));
  const ended = once(child, "exit").then(() => {
    throw new Error(`${command} ended:\n${printed}`);
  });
  ended.catch(() => {});
  const isThere = async () => fetch(`http://127.0.0.1:${port}/health/live`).then((answer) => answer.status, () => 0);
  await Promise.race([ended, within(10_000, 200, isThere)]);
  const stop = async () => {
    child.kill("SIGTERM");
    await ended.catch(() => {});
    process.removeListener("exit", kill);
    await rm(folder, { recursive: true, force: true });
  };
  const seen = async () => {
    const logged = log ? await readFile(log, "utf8") : printed;
    return [...logged.matchAll(LINE)].map(([, method, path]) => `${method} ${path}`);
  };
  return { port, stop, seen };
};

/** Sends bytes, and hears what is said until the other end closes. */
const exchange = async (port, bytes) => {
  const socket = connect({ port, host: "127.0.0.1", localAddress: ELSEWHERE });
  let heard = "";
  socket.on("data", (text) => (heard += text)).on("error", () => {});
  socket.setTimeout(10_000, () => socket.destroy());
  socket.write(bytes, "latin1");
  await once(socket, "close");
  return heard;
};

const answersIn = (text) => (text.match(/HTTP\/1\.1 \d{3}/g) ?? []).length;

describe("behind a proxy", () => {
  let server, backend, probes;
  const requests = new Map();

  /** What the server has logged so far; its log is kept in part alone, so it is looked at again and again. */
  const gather = () => {
    for (const line of server.log().split("\n")) {
      if (!line.startsWith("{") || !line.endsWith("}")) continue;
      const { target, request_id, method, path, source } = JSON.parse(line);
      if (target === "relatch::access") requests.set(request_id, { request: `${method} ${path}`, source });
    }
    return [...requests.values()];
  };
  const find = (request) => gather().find((one) => one.request === request);

  before(async () => {
    server = await startServer({ TRUSTED_PROXIES: "127.0.0.1", LOG_FORMAT: "json" });
    backend = server.base.slice("http://".length);
    probes = JSON.parse(await readFile("tests/it/smuggling.json", "utf8"));
  });
  after(() => server?.stop());

  for (const [name, configure] of [
    ["nginx", nginx(false)],
    ["nginx that keeps connections", nginx(true)],
    ["HAProxy", haproxy],
  ]) {
    describe(name, () => {
      let proxy;

      before(async () => {
        proxy = await startProxy(configure, backend);
      });
      after(() => proxy?.stop());

      const sees = async (path) => (await proxy.seen()).includes(`GET ${path}`);

      /** Once this has come through, what was sent before it is in the logs. */
      const settle = async (mark) => {
        const answer = await fetch(`http://127.0.0.1:${proxy.port}/problems/${mark}`);
        assert.equal(answer.status, 404);
        await answer.arrayBuffer();
        const isLogged = async () => Boolean(find(`GET /problems/${mark}`)) && (await sees(`/problems/${mark}`));
        await within(5_000, true, isLogged);
      };

      test("a request that was sent behind another is seen by both", async () => {
        const path = `/problems/honest-${proxy.port}`;
        const heard = await exchange(
          proxy.port,
          `POST /api/auth/revoke-token HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
        );
        assert.equal(answersIn(heard), 2, heard);
        await settle(`after-honest-${proxy.port}`);
        assert.ok(find(`GET ${path}`) && (await sees(path)));
      });

      test("no request is hidden from the proxy within another", async () => {
        for (const [at, { what, bytes }] of probes.entries()) {
          const hidden = `/problems/hidden-${proxy.port}-${at}`;
          const request = `GET ${hidden} HTTP/1.1\r\nHost: x\r\n\r\n`;
          const sent = bytes
            .replaceAll("/api/auth/login", "/api/auth/revoke-token")
            .replaceAll("<hidden>", request)
            .replaceAll("<length>", request.length);
          const heard = await exchange(proxy.port, sent);
          await settle(`after-${proxy.port}-${at}`);
          const isHonest = !find(`GET ${hidden}`) || (await sees(hidden));
          assert.ok(isHonest, `${what}: the server saw a request that the proxy did not: ${heard}`);
          // Who comes next gets their own answer.
          const next = await fetch(`http://127.0.0.1:${proxy.port}/health/live`);
          assert.equal(await next.text(), '{"status":"live"}', what);
        }
        const hidden = gather().filter(({ request }) => request.includes(`hidden-${proxy.port}-`));
        const seen = new Set(await proxy.seen());
        assert.deepEqual(hidden.filter(({ request }) => !seen.has(request)), []);
      });

      test("an address that a client makes up is not believed", async () => {
        const path = `/problems/whose-${proxy.port}`;
        const made = "198.51.100.7";
        const headers = `X-Forwarded-For: ${made}\r\nForwarded: for=${made}\r\nX-Real-IP: ${made}\r\nCF-Connecting-IP: ${made}`;
        await exchange(proxy.port, `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${headers}\r\n\r\n`);
        await settle(`after-whose-${proxy.port}`);
        assert.equal(find(`GET ${path}`).source, ELSEWHERE);
      });
    });
  }
});
