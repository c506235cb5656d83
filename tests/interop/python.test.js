// The Python libraries that an API or a client would take, as they are, for each algorithm.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";
import { AUDIENCE, register, start } from "./tools.js";

for (const algorithm of ["ES256", "EdDSA", "RS256"]) {
  test(`PyJWT and Authlib work with ${algorithm}`, async () => {
    const server = await start({ JWT_ALGORITHM: algorithm });
    try {
      const [saif, other] = [await server.api.signIn("saif"), await server.api.signIn("saif")];
      const { id, secret } = register(server, "introspect", "users:read");
      const { stdout } = await promisify(execFile)(process.env.PYTHON, ["tests/interop/libraries.py"], {
        env: {
          ...process.env,
          ISSUER: server.base,
          AUDIENCE,
          ALGORITHM: algorithm,
          ACCESS_TOKEN: saif.access,
          REFRESH_TOKEN: saif.refreshToken,
          OTHER_ACCESS_TOKEN: other.access,
          CLIENT_ID: id,
          CLIENT_SECRET: secret,
        },
      });
      assert.match(stdout, /^all 3 passed$/m);
      assert.deepEqual((await saif.answers()).code, "session_revoked");
    } finally {
      await server.stop();
    }
  });
}
