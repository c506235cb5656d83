// The JavaScript libraries that an API or a client would take, as they are, for each algorithm.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { createRemoteJWKSet, jwtVerify } from "jose";
import * as oauth from "oauth4webapi";
import * as openid from "openid-client";
import { AUDIENCE, register, start } from "./tools.js";

// The tests' server has no TLS, which these libraries refuse otherwise.
const INSECURE = { [oauth.allowInsecureRequests]: true };

for (const algorithm of ["ES256", "EdDSA", "RS256"]) {
  describe(algorithm, () => {
    let server, issuer, client, saif;

    before(async () => {
      server = await start({ JWT_ALGORITHM: algorithm });
      issuer = new URL(server.base);
      client = register(server, "introspect", "users:read");
      saif = await server.api.signIn("saif");
    });
    after(() => server?.stop());

    const discover = async (kind) => {
      const answer = await oauth.discoveryRequest(issuer, { algorithm: kind, ...INSECURE });
      return oauth.processDiscoveryResponse(issuer, answer);
    };

    test("jose verifies an access token by the published keys", async () => {
      const keys = createRemoteJWKSet(new URL("/.well-known/jwks.json", issuer));
      const options = { issuer: server.base, audience: AUDIENCE, typ: "at+jwt", algorithms: [algorithm] };
      const { payload, protectedHeader } = await jwtVerify(saif.access, keys, options);
      assert.equal(payload.unique_name, "saif");
      assert.equal(payload.role, "User");
      assert.equal(protectedHeader.alg, algorithm);
      assert.equal(protectedHeader.kid, keys.jwks().keys.find(({ kid }) => kid === protectedHeader.kid)?.kid);
    });

    for (const kind of ["oauth2", "oidc"]) {
      test(`oauth4webapi discovers (${kind}) and takes an access token for one of RFC 9068`, async () => {
        const as = await discover(kind);
        const request = new Request("http://api.example/orders", {
          headers: { authorization: `Bearer ${saif.access}` },
        });
        const claims = await oauth.validateJwtAccessToken(as, request, AUDIENCE, {
          signingAlgorithms: [algorithm],
          ...INSECURE,
        });
        assert.equal(claims.client_id, "relatch");
        assert.equal(claims.sid, saif.session);
      });
    }

    test("oauth4webapi refreshes, introspects and revokes", async () => {
      const as = await discover("oauth2");
      const publicClient = { client_id: "relatch" };
      const begun = await server.api.signIn("saif");
      const refreshed = await oauth.processRefreshTokenResponse(
        as,
        publicClient,
        await oauth.refreshTokenGrantRequest(as, publicClient, oauth.None(), begun.refreshToken, INSECURE),
      );
      assert.equal(refreshed.token_type, "bearer");
      assert.ok(refreshed.expires_in > 0);
      assert.notEqual(refreshed.refresh_token, begun.refreshToken);

      const asked = { client_id: client.id };
      for (const [token, proof] of [
        [refreshed.access_token, oauth.ClientSecretBasic(client.secret)],
        [refreshed.refresh_token, oauth.ClientSecretPost(client.secret)],
      ]) {
        const answer = await oauth.introspectionRequest(as, asked, proof, token, INSECURE);
        const { active, sub } = await oauth.processIntrospectionResponse(as, asked, answer);
        assert.equal(active, true);
        assert.equal(typeof sub, "string");
      }

      const revoked = await oauth.revocationRequest(as, publicClient, oauth.None(), refreshed.refresh_token, INSECURE);
      assert.equal(await oauth.processRevocationResponse(revoked), undefined);
      const proof = oauth.ClientSecretBasic(client.secret);
      const answer = await oauth.introspectionRequest(as, asked, proof, refreshed.access_token, INSECURE);
      assert.deepEqual(await oauth.processIntrospectionResponse(as, asked, answer), { active: false });
      const again = await oauth.refreshTokenGrantRequest(as, publicClient, oauth.None(), refreshed.refresh_token, INSECURE);
      await assert.rejects(oauth.processRefreshTokenResponse(as, publicClient, again), { error: "invalid_grant" });
    });

    test("openid-client configures itself and does the same", async () => {
      const options = { execute: [openid.allowInsecureRequests], algorithm: "oauth2" };
      const config = await openid.discovery(issuer, "relatch", undefined, openid.None(), options);
      const begun = await server.api.signIn("saif");
      const refreshed = await openid.refreshTokenGrant(config, begun.refreshToken);
      const service = await openid.discovery(issuer, client.id, client.secret, undefined, options);
      assert.equal((await openid.tokenIntrospection(service, refreshed.access_token)).active, true);
      await openid.tokenRevocation(config, refreshed.refresh_token);
      assert.deepEqual(await openid.tokenIntrospection(service, refreshed.access_token), { active: false });
      await assert.rejects(openid.refreshTokenGrant(config, refreshed.refresh_token), { error: "invalid_grant" });
    });

    test("a service account gets a token of its own with openid-client", async () => {
      const options = { execute: [openid.allowInsecureRequests], algorithm: "oauth2" };
      const service = await openid.discovery(issuer, client.id, client.secret, undefined, options);
      const granted = await openid.clientCredentialsGrant(service, { scope: "users:read" });
      assert.equal(granted.refresh_token, undefined);
      const as = await discover("oauth2");
      const headers = { authorization: `Bearer ${granted.access_token}` };
      const claims = await oauth.validateJwtAccessToken(as, new Request("http://api.example/", { headers }), AUDIENCE, INSECURE);
      assert.equal(claims.sub, client.id);
      assert.equal(claims.scope, "users:read");
      const users = await fetch(`${server.base}/api/users`, { headers });
      assert.equal(users.status, 200);
      assert.deepEqual((await users.json()).map(({ username }) => username).sort(), ["root", "saif"]);
    });
  });
}
