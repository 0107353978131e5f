// An issuer of JWTs on a loopback port: discovery, keys, and JWTs with the claims that the form of a token request has.
// usage: node issuer.mjs MODULES PORT
import { pathToFileURL } from "node:url";

const [modules, port] = process.argv.slice(2);
const { OAuth2Server } = await import(
  pathToFileURL(`${modules}/oauth2-mock-server/dist/index.mjs`).href
);

const server = new OAuth2Server();
await server.issuer.keys.generate("RS256");
server.service.on("beforeTokenSigning", (token, request) => {
  token.payload = { ...token.payload, ...JSON.parse(request.body.claims) };
  token.header = { ...token.header, ...JSON.parse(request.body.header ?? "{}") };
});
await server.start(Number(port), "127.0.0.1");
process.on("SIGTERM", () => server.stop().then(() => process.exit(0)));
