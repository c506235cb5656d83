// A small API behind Relatch. GET /orders is for everybody who is signed in, GET /reports for admins.
import { createServer } from "node:http";
import { TokenRefused, discover } from "./verifier.js";

const issuer = process.env.RELATCH_URL ?? "http://127.0.0.1:8080";
const verify = await discover(issuer, process.env.AUDIENCE ?? "relatch");

const answer = (response, status, body, headers = {}) => {
  response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store", ...headers });
  response.end(JSON.stringify(body));
};

const ROUTES = {
  "/orders": { handle: (claims) => ({ orders: [], of: claims.sub }) },
  "/reports": { role: "Admin", handle: (claims) => ({ report: "all is well", for: claims.sub }) },
};

const server = createServer(async (request, response) => {
  const route = ROUTES[request.url];
  if (!route || request.method !== "GET") return answer(response, 404, { error: "not_found" });
  const [, token] = /^bearer +([\w.~+/=-]+)$/i.exec(request.headers.authorization ?? "") ?? [];
  if (!token) return answer(response, 401, { error: "token_needed" }, { "www-authenticate": "Bearer" });
  try {
    const claims = await verify(token);
    if (route.role && claims.role !== route.role) {
      const challenge = { "www-authenticate": 'Bearer error="insufficient_scope"' };
      return answer(response, 403, { error: "insufficient_scope" }, challenge);
    }
    answer(response, 200, route.handle(claims));
  } catch (error) {
    if (error instanceof TokenRefused) {
      answer(response, 401, { error: "invalid_token" }, { "www-authenticate": 'Bearer error="invalid_token"' });
    } else {
      console.error(error);
      answer(response, 503, { error: "temporarily_unavailable" }, { "retry-after": "1" });
    }
  }
});

server.listen(Number(process.env.PORT ?? 3001), "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
