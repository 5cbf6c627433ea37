// A token that holds for an hour, to try things out:
// SECRET="thirty-two bytes are the fewest!" node plugins/auth-token/token.mjs USER [NAME] [ROLE ...]
import { createHmac } from "node:crypto";

const [sub, name, ...roles] = process.argv.slice(2);
const part = (json) => Buffer.from(JSON.stringify(json)).toString("base64url");
const exp = Math.floor(Date.now() / 1000) + 3600;
const signed = `${part({ alg: "HS256" })}.${part({ sub, name, roles, exp })}`;
console.log(`${signed}.${createHmac("sha256", process.env.SECRET).update(signed).digest("base64url")}`);
