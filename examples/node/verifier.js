// Checks access tokens of Relatch: signature, issuer, audience, type, times, and whether the session still lives.
// Nothing here asks Relatch per request: keys and status lists are fetched now and then, and kept.
import { inflateSync } from "node:zlib";
import { createRemoteJWKSet, jwtVerify } from "jose";

const ALGORITHMS = ["ES256", "EdDSA", "RS256"];
/** A status list has at most 2^20 entries of one bit; what inflates to more is not one of ours. */
const LIST_BYTES_MAX = 131_072;
/** How long Relatch may take to answer, in milliseconds. */
const PATIENCE = 5_000;

/** The token is not accepted: answer 401. Any other error means that nobody can tell now: answer 503. */
export class TokenRefused extends Error {}

const fetchOk = async (url, options) => {
  const answer = await fetch(url, { ...options, redirect: "error", signal: AbortSignal.timeout(PATIENCE) });
  if (!answer.ok && answer.status !== 304) throw new Error(`${url} answered ${answer.status}`);
  return answer;
};

/** One status list: fetched anew when its `ttl` is over, by one request however many ask. */
class StatusList {
  #fetching;
  #etag;
  #bits;
  #freshUntil = 0;
  #expiresAt = 0;

  constructor(uri, keys, issuerOrigin) {
    if (new URL(uri).origin !== issuerOrigin) throw new TokenRefused("the status list is somebody else's");
    this.uri = uri;
    this.keys = keys;
  }

  async #fetch() {
    const asked = Date.now();
    const headers = { accept: "application/statuslist+jwt", ...(this.#etag && { "if-none-match": this.#etag }) };
    const answer = await fetchOk(this.uri, { headers });
    if (answer.status === 304) {
      this.#freshUntil = asked + this.ttl;
      return;
    }
    const { payload } = await jwtVerify(await answer.text(), this.keys, {
      typ: "statuslist+jwt",
      algorithms: ALGORITHMS,
      subject: this.uri,
      requiredClaims: ["iat", "exp"],
    });
    const { bits, lst } = payload.status_list;
    if (bits !== 1) throw new Error("the status list has entries of another size");
    this.#bits = inflateSync(Buffer.from(lst, "base64url"), { maxOutputLength: LIST_BYTES_MAX });
    this.#etag = answer.headers.get("etag");
    this.ttl = Math.max(1, payload.ttl ?? 15) * 1_000;
    this.#freshUntil = asked + this.ttl;
    this.#expiresAt = payload.exp * 1_000;
  }

  async isRevoked(index) {
    if (Date.now() >= this.#freshUntil) {
      this.#fetching ??= this.#fetch().finally(() => (this.#fetching = undefined));
      try {
        await this.#fetching;
      } catch (cause) {
        // An old list is better than none, until it says itself that it is too old.
        if (Date.now() >= this.#expiresAt) throw new Error("the status list cannot be read", { cause });
      }
    }
    if (!Number.isInteger(index) || index < 0 || index >= this.#bits.length * 8) {
      throw new TokenRefused("the status list has no such entry");
    }
    return ((this.#bits[index >> 3] >> (index & 7)) & 1) === 1;
  }
}

/** Reads where things are from Relatch's metadata, and gives a function from a token to its claims. */
export const discover = async (issuer, audience) => {
  // An issuer with a path has it behind the well-known one (RFC 8414).
  const { origin, pathname } = new URL(issuer);
  const url = `${origin}/.well-known/oauth-authorization-server${pathname.replace(/\/$/, "")}`;
  const metadata = await (await fetchOk(url)).json();
  if (metadata.issuer !== issuer) throw new Error(`the issuer is ${metadata.issuer}, not ${issuer}`);
  // Fetched again when a token names a key that is not known yet, though not more often than each five seconds.
  const keys = createRemoteJWKSet(new URL(metadata.jwks_uri), { cooldownDuration: 5_000, timeoutDuration: PATIENCE });
  const lists = new Map();

  return async (token) => {
    let claims;
    try {
      ({ payload: claims } = await jwtVerify(token, keys, {
        issuer,
        audience,
        typ: "at+jwt",
        algorithms: ALGORITHMS,
        requiredClaims: ["sub", "client_id", "iat", "exp", "jti"],
      }));
    } catch (error) {
      // Whatever else goes wrong is about the keys and not about the token.
      const isRefusal = /^ERR_(JWT|JWS|JWKS_NO_MATCHING_KEY|JWKS_MULTIPLE|JOSE_ALG|JOSE_NOT_SUPPORTED)/.test(error.code);
      throw isRefusal ? new TokenRefused(error.message) : error;
    }
    const status = claims.status?.status_list;
    // Tokens of service accounts have no status: an API that takes those too leaves this line out.
    if (!status) throw new TokenRefused("nobody can tell whether its session still lives");
    if (!lists.has(status.uri)) lists.set(status.uri, new StatusList(status.uri, keys, new URL(metadata.jwks_uri).origin));
    if (await lists.get(status.uri).isRevoked(status.idx)) throw new TokenRefused("the session has ended");
    return claims;
  };
};
