// The refresh loop of docs/clients.md, as it stands there, against a server that loses and delays its answers.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { PASSWORD } from "../browser/server.js";
import { start } from "./tools.js";

const source = async () => {
  const text = await readFile("docs/clients.md", "utf8");
  const [, loop] = /<!-- refresh loop -->\n```js\n([^]*?)```/.exec(text);
  return loop;
};

describe("the refresh loop", () => {
  let server, loop;

  before(async () => {
    server = await start({ FAULTS: "on" });
    loop = await source();
  });
  after(() => server?.stop());

  /** A client with the loop; each request to refresh takes the next fault, if there is one. */
  const client = async (...faults) => {
    const requests = [];
    const send = async (path, body) => {
      const headers = { "content-type": "application/json" };
      const fault = faults.shift();
      if (fault) headers["relatch-fault"] = fault;
      requests.push(body);
      const limit = AbortSignal.timeout(2_000);
      return fetch(server.base + path, { method: "POST", headers, body: JSON.stringify(body), signal: limit });
    };
    const sleep = (milliseconds) => new Promise((done) => setTimeout(done, Math.min(milliseconds, 50)));
    const make = new Function("send", "sleep", `${loop}\nreturn { keep, accessToken, pair: () => pair, expire: () => { due = 0; } };`);
    const made = make(send, sleep);
    made.keep(await server.api.expect(200, "/api/auth/login", { body: { username: "saif", password: PASSWORD } }));
    return { ...made, requests };
  };

  const works = async (token) => assert.equal((await server.api.send("/api/users/profile", { method: "GET", token })).status, 200);

  test("has the fifteen lines that it is said to have", () => {
    assert.equal(loop.trim().split("\n").length, 15);
  });

  test("asks only when it is due, and once for all who wait", async () => {
    const saif = await client();
    await works(await saif.accessToken());
    assert.equal(saif.requests.length, 0);
    saif.expire();
    const tokens = await Promise.all(Array.from({ length: 20 }, () => saif.accessToken()));
    assert.equal(new Set(tokens).size, 1);
    assert.equal(saif.requests.length, 1);
    await works(tokens[0]);
  });

  test("gets over lost and late answers with the same token", async () => {
    const saif = await client("drop-answer", "delay=2500", "drop-answer");
    saif.expire();
    await works(await saif.accessToken());
    assert.equal(saif.requests.length, 4);
    assert.equal(new Set(saif.requests).size, 1);
    saif.expire();
    await works(await saif.accessToken());
  });

  test("keeps its session through a hundred faults at random", async () => {
    const saif = await client(...Array.from({ length: 100 }, () => (Math.random() < 0.5 ? "drop-answer" : "delay=20")));
    while (saif.requests.length < 100) {
      saif.expire();
      await works(await saif.accessToken());
    }
  });

  test("takes the key that a rotation brings", async () => {
    const saif = await client("rotate-key");
    const kid = (token) => JSON.parse(atob(token.split(".")[0])).kid;
    const before = kid(await saif.accessToken());
    saif.expire();
    const token = await saif.accessToken();
    assert.notEqual(kid(token), before);
    await works(token);
  });

  test("says when there is nothing left but to sign in", async () => {
    const saif = await client();
    await server.api.expect(204, "/api/auth/revoke-token", { body: saif.pair().refreshToken });
    saif.expire();
    await assert.rejects(saif.accessToken(), { message: "sign in again: session_revoked" });
    assert.equal(saif.requests.length, 1);
  });
});
