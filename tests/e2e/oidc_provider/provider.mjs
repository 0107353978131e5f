// oidc-provider on a loopback port, with the client `tokenserver` and the people whom a test has told it.
// People log in by their name, with any password. PUT /test/people/NAME has the claims of a person, and DELETE removes
// them; PUT /test/error says with which error the next login ends.
// usage: node provider.mjs MODULES PORT ISSUER SERVER_URL CLIENT_SECRET
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [modules, port, issuer, server, secret] = process.argv.slice(2);
const { Provider } = await import(
  pathToFileURL(`${modules}/oidc-provider/lib/index.js`).href
);
const { generateKeyPairSync } = createRequire(import.meta.url)("node:crypto");

const people = new Map();
let error = null;
const key = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ format: "jwk" });

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: "tokenserver",
      client_secret: secret,
      grant_types: ["authorization_code", "refresh_token"],
      redirect_uris: [`${server}/login/callback/op`],
      post_logout_redirect_uris: [`${server}/login`],
      backchannel_logout_uri: `${server}/logout/backchannel/op`,
      backchannel_logout_session_required: true,
    },
  ],
  jwks: { keys: [{ ...key, kid: "k1", use: "sig", alg: "RS256" }] },
  cookies: { keys: [secret] },
  claims: { openid: ["sub"], profile: ["preferred_username"], groups: ["groups"] },
  conformIdTokenClaims: false,
  pkce: { required: () => true },
  features: { backchannelLogout: { enabled: true } },
  // As Okta and Keycloak: the scope offline_access needs no prompt for consent.
  issueRefreshToken: async (_, client) => client.grantTypeAllowed("refresh_token"),
  expiresWithSession: async () => false,
  rotateRefreshToken: true,
  // It calls no address of this machine otherwise, and so ends no session of a server here.
  fetch: (url, options) => globalThis.fetch(url, { ...options, dispatcher: undefined }),
  findAccount: (_, id) =>
    people.has(id)
      ? { accountId: id, claims: async () => ({ sub: id, preferred_username: id, ...people.get(id) }) }
      : undefined,
});

for (const event of ["server_error", "authorization.error", "grant.error", "end_session.error", "backchannel.error"])
  provider.on(event, (_, problem) => console.error(event, problem.message, problem.error_detail ?? "", problem.cause ?? ""));

const body = async (request) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  return JSON.parse(Buffer.concat(parts).toString());
};

provider.use(async (ctx, next) => {
  if (ctx.path.startsWith("/test/")) {
    const [, , kind, name] = ctx.path.split("/");
    if (kind === "error") error = await body(ctx.req);
    else if (ctx.method === "DELETE") people.delete(name);
    else people.set(name, await body(ctx.req));
    ctx.body = {};
    ctx.status = 200;
  } else if (error !== null && ctx.path.startsWith("/interaction/")) {
    const result = { error };
    error = null;
    await provider.interactionFinished(ctx.req, ctx.res, result);
    ctx.respond = false;
  } else await next();
});

const listener = provider.listen(Number(port), "127.0.0.1");
process.on("SIGTERM", () => { listener.closeAllConnections(); listener.close(() => process.exit(0)); });
