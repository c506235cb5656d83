// Verifiers that keep the key set for its max-age, while the key that signs changes every two seconds.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createLocalJWKSet, jwtVerify } from "jose";
import { AUDIENCE, start } from "./tools.js";

const VERIFICATIONS = Number(process.env.VERIFICATIONS ?? 100_000);
const ROTATE_EVERY = 2_000;

/** Fetches the keys when the kept ones are older than their max-age, and never for another reason. */
const keysFor = (base) => {
  let keys, freshUntil, fetches = 0;
  const get = async () => {
    if (!(performance.now() < freshUntil)) {
      const asked = performance.now();
      const answer = await fetch(`${base}/.well-known/jwks.json`);
      const [, maxAge] = /max-age=(\d+)/.exec(answer.headers.get("cache-control"));
      keys = createLocalJWKSet(await answer.json());
      freshUntil = asked + maxAge * 1_000;
      fetches += 1;
    }
    return keys;
  };
  return { get, fetches: () => fetches };
};

test(`${VERIFICATIONS} verifications while the key changes every two seconds`, async (context) => {
  const server = await start({ JWKS_MAX_AGE: 1, RATE_LIMITS: "off" });
  try {
    const clients = await Promise.all(Array.from({ length: 8 }, () => server.api.signIn("saif")));
    const signers = new Set();
    const [options, verifiers] = [{ issuer: server.base, audience: AUDIENCE, typ: "at+jwt" }, []];
    let [verified, isOver] = [0, false];
    const rotate = (async () => {
      while (!isOver) {
        server.relatch("key", "rotate");
        const until = performance.now() + ROTATE_EVERY;
        while (!isOver && performance.now() < until) await new Promise((done) => setTimeout(done, 50));
      }
    })();
    const work = clients.map(async (client) => {
      const keys = keysFor(server.base);
      verifiers.push(keys);
      while (verified < VERIFICATIONS) {
        await client.refresh();
        for (let use = 0; use < 50; use += 1) {
          const { protectedHeader } = await jwtVerify(client.access, await keys.get(), options);
          signers.add(protectedHeader.kid);
          verified += 1;
        }
      }
    });
    await Promise.all(work).finally(() => (isOver = true));
    await rotate;
    context.diagnostic(`${verified} verified, ${signers.size} keys signed`);
    assert.ok(verified >= VERIFICATIONS);
    assert.ok(signers.size >= 2, `${signers.size} keys`);
    assert.ok(verifiers.every(({ fetches }) => fetches() > 1));
  } finally {
    await server.stop();
  }
});
