// The chat case: one and the same chat with tokens, names, ids, history, a filter of 1,000 words and a flood limit, once as
// plugins and once written by hand for Node's socket.io. What both are started with.

import { createHmac } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const SECRET = "a secret of the bench, of at least 32 bytes";
const USERS = 1000;
const WORDS = 1000;

/** A message as people write them: none of the words, one mention of somebody who is not there. */
export const TEXT =
  "Has anybody seen the notes of yesterday? I think @marlene put them into the shared folder, but I cannot find them there (or anywhere).";

/** Writes config, words and tokens into a folder; returns their paths and the secret. */
export function prepare(root) {
  const dir = join(root, "target/bench");
  mkdirSync(dir, { recursive: true });
  const files = { config: join(dir, "chat.toml"), words: join(dir, "chat-words.txt"), auth: join(dir, "chat-auth.jsonl") };
  const words = someWords(WORDS);
  writeFileSync(files.words, `${words.join("\n")}\n`);
  writeFileSync(files.auth, `${Array.from({ length: USERS }, (_, n) => auth(`user${n}`)).join("\n")}\n`);
  writeFileSync(files.config, config(join(root, "target/wasm32-wasip2/plugin"), words));
  return { ...files, secret: SECRET };
}

/** Words of three syllables that no text of the bench holds, always the same ones. */
function someWords(count) {
  const syllables = ["zor", "bax", "quil", "vex", "tham", "gru", "plok", "snir", "wub", "frod", "kesh", "mung"];
  const words = [];
  for (const a of syllables) {
    for (const b of syllables) {
      words.push(...syllables.map((c) => a + b + c));
    }
  }
  return words.slice(0, count);
}

/** What a client says about itself: a signed token. */
function auth(user) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const now = Math.floor(Date.now() / 1000);
  const text = `${part({ alg: "HS256", typ: "JWT" })}.${part({ sub: user, name: user, iat: now, exp: now + 24 * 3600 })}`;
  const token = `${text}.${createHmac("sha256", SECRET).update(text).digest("base64url")}`;
  return JSON.stringify({ token });
}

function config(plugins, words) {
  return `# Written by the bench.
[log]
level = "warn"

[[plugin]]
name = "auth-token"
file = "${plugins}/auth_token.wasm"
capabilities = ["identity", "credentials"]
config = { keys = [{ algorithm = "HS256", secret = "${SECRET}" }] }

[[plugin]]
name = "chat-rooms"
file = "${plugins}/chat_rooms.wasm"
capabilities = ["store"]
config = { events_max = 1_000_000 }

[[plugin]]
name = "moderation"
file = "${plugins}/moderation.wasm"
capabilities = ["store", "orders"]
limits = { cpu_ms = 50 }
[[plugin.config.words]]
name = "words"
action = "reject"
words = ${JSON.stringify(words)}

[[plugin]]
name = "chat-archive"
file = "${plugins}/chat_rooms.wasm"
capabilities = ["store"]
config = { part = "archive" }
`;
}
