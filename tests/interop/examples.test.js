// The examples as a reader would start them: through key rotation, revocation and a change of role.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { register, start, startApi, within } from "./tools.js";

/** The shortest that may be set, in seconds, so that nobody waits for long. */
const STATUS_TTL = 3;
const IN_TIME = (STATUS_TTL + 1) * 1_000;

const EXAMPLES = {
  node: (issuer) => startApi(issuer, "examples/node", process.execPath, "api.js"),
  python: (issuer) => startApi(issuer, "examples/python", process.env.PYTHON, "api.py"),
  rust: (issuer) => startApi(issuer, "examples/rust", process.env.ORDERS_API),
};

for (const [name, begin] of Object.entries(EXAMPLES)) {
  describe(`the example in ${name}`, () => {
    let server, api;

    before(async () => {
      server = await start({ STATUS_TTL, JWKS_MAX_AGE: 1, RATE_LIMITS: "off" });
      api = await begin(server.base);
    });
    after(async () => {
      await api?.stop();
      await server?.stop();
    });

    test("tells users, admins and everybody else apart", async () => {
      const [saif, root] = [await server.api.signIn("saif"), await server.api.signIn("root")];
      assert.equal(await api.status("/orders"), 401);
      assert.equal(await api.status("/orders", "x.y.z"), 401);
      assert.equal(await api.status("/orders", saif.refreshToken), 401);
      assert.equal(await api.status("/orders", saif.access), 200);
      assert.equal(await api.status("/reports", saif.access), 403);
      assert.equal(await api.status("/reports", root.access), 200);
      const { id, secret } = register(server, "users:read");
      const form = new URLSearchParams({ grant_type: "client_credentials", client_id: id, client_secret: secret });
      const granted = await (await fetch(`${server.base}/oauth/token`, { method: "POST", body: form })).json();
      assert.equal(await api.status("/orders", granted.access_token), 401);
      const [header, claims, signature] = saif.access.split(".");
      const forged = Buffer.from(JSON.stringify({ ...JSON.parse(atob(claims)), role: "Admin" })).toString("base64url");
      assert.equal(await api.status("/reports", [header, forged, signature].join(".")), 401);
    });

    test("refuses the tokens of a revoked session in time, and no others", async () => {
      const [saif, other] = [await server.api.signIn("saif"), await server.api.signIn("saif")];
      assert.equal(await api.status("/orders", saif.access), 200);
      assert.equal(await api.status("/orders", other.access), 200);
      await server.api.expect(204, "/api/auth/logout", { token: saif.access });
      await within(IN_TIME, 401, () => api.status("/orders", saif.access));
      assert.equal(await api.status("/orders", other.access), 200);
    });

    test("refuses the tokens of a former admin in time, and takes what they get instead", async () => {
      server.relatch("user", "set-role", "saif", "admin");
      const admin = await server.api.signIn("saif");
      assert.equal(await api.status("/reports", admin.access), 200);
      server.relatch("user", "set-role", "saif", "user");
      await within(IN_TIME + 1_000, 401, () => api.status("/reports", admin.access));
      await admin.refresh();
      assert.equal(await api.status("/reports", admin.access), 403);
      assert.equal(await api.status("/orders", admin.access), 200);
    });

    test("goes on through rotations of the key", async () => {
      const before = await server.api.signIn("saif");
      const kid = (client) => JSON.parse(atob(client.access.split(".")[0])).kid;
      const after = await server.api.signIn("saif");
      server.relatch("key", "rotate");
      await within(20_000, true, async () => {
        await after.refresh();
        assert.equal(await api.status("/orders", after.access), 200);
        return kid(after) !== kid(before);
      });
      assert.equal(await api.status("/orders", before.access), 200);
    });

    test("accepts nothing when it cannot know", async () => {
      const lonely = await start({ STATUS_TTL, JWKS_MAX_AGE: 1 });
      const alone = await begin(lonely.base);
      try {
        const { access } = await lonely.api.signIn("saif");
        await lonely.stop();
        assert.equal(await alone.status("/orders", access), 503);
      } finally {
        await alone.stop();
      }
    });
  });
}
