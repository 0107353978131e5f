// An issuer of JWTs on a loopback port: discovery, keys, and JWTs with the claims that the form of a token request has.
// A request with `next` says which claims the ID tokens of logins have from then on.
// usage: node issuer.mjs MODULES PORT
import { pathToFileURL } from "node:url";

const [modules, port] = process.argv.slice(2);
const { OAuth2Server } = await import(
  pathToFileURL(`${modules}/oauth2-mock-server/dist/index.mjs`).href
);

const server = new OAuth2Server();
await server.issuer.keys.generate("RS256");
let next = {};
server.service.on("beforeTokenSigning", (token, request) => {
  next = JSON.parse(request.body.next ?? JSON.stringify(next));
  token.payload = { ...token.payload, ...(request.body.claims ? JSON.parse(request.body.claims) : next) };
  token.header = { ...token.header, ...JSON.parse(request.body.header ?? "{}") };
});
await server.start(Number(port), "127.0.0.1");
process.on("SIGTERM", () => server.stop().then(() => process.exit(0)));
