// Prints a token for trying out the chat: `node examples/chat/token.mjs USER [NAME] [ROLE ...]`.
// It is signed with the secret of hub.toml, which everybody can read: such tokens are for this machine alone.

import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const LIFETIME_S = 24 * 3600;

/** A JWT for a user, signed with HS256. */
export function sign(secret, user, name, roles = []) {
  const now = Math.floor(Date.now() / 1000);
  const claims = { sub: user, ...(name ? { name } : {}), roles, iat: now, exp: now + LIFETIME_S };
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${encode({ alg: "HS256", typ: "JWT" })}.${encode(claims)}`;
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

function secretOf(file) {
  const [, secret] = /^\s*secret\s*=\s*"([^"]+)"/m.exec(readFileSync(file, "utf8")) ?? [];
  if (!secret) throw new Error(`${file} has no line \`secret = "..."\``);
  return secret;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [user, name, ...roles] = process.argv.slice(2);
  if (!user) {
    console.error("usage: node examples/chat/token.mjs USER [NAME] [ROLE ...]\nas in: node examples/chat/token.mjs mia Mia moderator");
    process.exit(2);
  }
  console.log(sign(secretOf(new URL("../../hub.toml", import.meta.url)), user, name, roles));
}
