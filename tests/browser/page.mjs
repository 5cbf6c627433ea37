// The chat page in Chromium: `node page.mjs URL SECRET`, where the node signs tokens with SECRET.

import assert from "node:assert/strict";
import { createRequire } from "node:module";

import { io } from "socket.io-client";

import { sign } from "../../examples/chat/token.mjs";
import { Suite, targetUrl } from "../clients/js/lib/suite.mjs";
import { launch } from "./lib/chromium.mjs";
import { Proxy } from "./lib/proxy.mjs";
import { Tab } from "./lib/tab.mjs";

const url = targetUrl();
const secret = process.argv[process.argv.indexOf(process.argv.find((one) => one.includes("://"))) + 1];
const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const PHONE = { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true };
/** Longer than the node keeps a lost session. */
const LONG_CUT_MS = 7000;

const browser = await launch();
const proxy = await Proxy.start(url);
const ann = await Tab.guest(browser, proxy.url, "Ann");
const mia = await Tab.user(browser, url, secret, { user: "mia", name: "Mia", roles: ["moderator"] });
const suite = new Suite("the chat page", { deadlineMs: 240_000 });

/** Serious findings of axe-core, as `rule: selectors`. */
async function findings(tab) {
  await tab.page.evaluate(`${(await import("node:fs")).readFileSync(AXE, "utf8")}`);
  const { violations } = await tab.page.evaluate(() => globalThis.axe.run({ resultTypes: ["violations"] }));
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ target, failureSummary }) => `${target} (${failureSummary})`).join(", ")}`);
}

/** Presses a key until an element of this class has the focus. */
async function tabTo(tab, name, key) {
  const PRESSES_MAX = 40;
  for (let n = 0; n < PRESSES_MAX; n++) {
    await tab.page.keyboard.press(key);
    if (await tab.page.evaluate((wanted) => document.activeElement.classList.contains(wanted), name)) return;
  }
  throw new Error(`${PRESSES_MAX} times ${key} did not lead to .${name}`);
}

suite.check("two tabs see each other", async () => {
  await ann.page.locator("#members").getByText("Mia").waitFor();
  await mia.page.locator("#members").getByText("Ann").waitFor();
});

suite.check("what one says the other reads, and sees it being typed", async () => {
  await ann.input.pressSequentially("Good mor");
  await mia.page.getByText("Ann is typing…").waitFor();
  await ann.say("Good morning");
  await mia.sees("Good morning");
  await mia.page.getByText("Ann is typing…").waitFor({ state: "detached" });
  await ann.page.getByText("Read by Mia").waitFor();
});

suite.check("text is text, whatever it looks like", async () => {
  const text = '<img src=x onerror="document.title=1"> & <b>bold</b> javascript:alert(1)';
  await ann.say(text);
  await mia.sees(text);
  assert.equal(await mia.page.locator(".log img, .log b").count(), 0);
});

suite.check("a refused message says why, and nobody else sees it", async () => {
  await ann.say("what a moron");
  const refused = ann.message("what a moron");
  await refused.getByText("Not sent. The message has a word that is not allowed here.").waitFor();
  await refused.getByRole("button", { name: "Change it" }).click();
  assert.equal(await ann.input.inputValue(), "what a moron");
  await ann.say("what a mess, darn");
  await mia.sees("what a mess, ****");
  await ann.sees("what a mess, ****");
  assert.equal(await mia.message("moron").count(), 0);
  assert.equal(await ann.message("moron").count(), 0);
});

suite.check("a held message waits for a moderator", async () => {
  await ann.say("buy my lottery tickets");
  await ann.message("lottery").getByText("Waits for a moderator.").waitFor();
  await mia.page.getByRole("button", { name: /^Moderation/ }).click();
  const panel = mia.page.getByRole("dialog", { name: "Moderation" });
  await panel.getByText("buy my lottery tickets").waitFor();
  assert.deepEqual(await findings(mia), []);
  await panel.getByRole("button", { name: "Approve" }).click();
  await panel.getByText("Nothing waits for review.").waitFor();
  await mia.page.keyboard.press("Escape");
  await mia.sees("lottery");
  await ann.message("lottery").getByText("Waits").waitFor({ state: "detached" });
  assert.equal(await ann.message("lottery").count(), 1);
});

suite.check("a reply, an edit, a reaction and a delete are everybody's", async () => {
  await mia.tool("Good morning", "Reply");
  await mia.say("Hello Ann");
  await ann.message("Hello Ann").locator(".quote", { hasText: "Good morning" }).waitFor();
  await mia.input.press("ArrowUp");
  await mia.say("Hello @Ann");
  await ann.message("Hello @Ann").getByText("(edited)").waitFor();
  await ann.tool("Hello @Ann", "React");
  await ann.page.getByRole("menuitem", { name: "🎉" }).click();
  await mia.message("Hello @Ann").getByRole("button", { name: "🎉 1", exact: true }).click();
  await ann.message("Hello @Ann").getByRole("button", { name: "🎉 2, with yours" }).waitFor();
  await mia.tool("Good morning", "More");
  await mia.page.getByRole("menuitem", { name: "Delete" }).click();
  await mia.page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await ann.sees("This message was deleted.");
});

suite.check("direct messages are between two", async () => {
  await mia.memberMenu("Ann", "Direct message");
  await mia.say("between us");
  await ann.page.locator(".thread", { hasText: "Mia" }).getByText("1", { exact: true }).waitFor();
  await ann.pick("Mia");
  await ann.sees("between us");
  await ann.input.pressSequentially("I keep");
  await mia.page.getByText("Ann is typing…").waitFor();
  await ann.say("I keep it to me");
  await ann.message("I keep it to me").getByText("Read by Mia").waitFor();
  await ann.input.press("ArrowUp");
  await ann.say("I keep it to myself");
  await mia.message("I keep it to myself").getByText("(edited)").waitFor();
  await mia.tool("I keep it to myself", "React");
  await mia.page.getByRole("menuitem", { name: "👍" }).click();
  await ann.message("I keep it to myself").getByRole("button", { name: "👍 1", exact: true }).waitFor();
  await mia.pick("lobby");
  await ann.pick("lobby");
  assert.equal(await ann.message("between us").count(), 0);
});

suite.check("what is said elsewhere is counted, mentions are loud", async () => {
  await mia.joinRoom("tea");
  await mia.head.filter({ hasText: "tea" }).waitFor();
  await ann.say("one");
  await ann.say("two for @Mia");
  const badge = mia.page.locator(".thread", { hasText: "lobby" }).locator(".badge.loud", { hasText: "2" });
  await badge.waitFor();
  await mia.pick("lobby");
  await mia.page.locator(".mentions-me", { hasText: "two for @Mia" }).waitFor();
  await badge.waitFor({ state: "detached" });
});

suite.check("a room with a password asks for it", async () => {
  await mia.page.getByRole("button", { name: "Join or create a room" }).click();
  const make = mia.page.getByRole("dialog");
  await make.getByLabel("Room").fill("vault");
  await make.getByLabel("What to do").selectOption("password");
  await make.getByLabel("Password", { exact: true }).fill("sesame");
  await make.getByRole("button", { name: "Go" }).click();
  await mia.head.filter({ hasText: "vault" }).waitFor();
  await ann.joinRoom("vault");
  const enter = ann.page.getByRole("dialog", { name: "Enter vault" });
  await enter.getByLabel("Password").fill("salami");
  await enter.getByRole("button", { name: "Enter" }).click();
  await enter.getByText("That is not the password.").waitFor();
  await enter.getByLabel("Password").fill("sesame");
  await enter.getByRole("button", { name: "Enter" }).click();
  await ann.head.filter({ hasText: "vault" }).waitFor();
  await ann.pick("lobby");
  await mia.pick("lobby");
});

suite.check("everything can be done with keys alone", async (scope) => {
  const kay = await Tab.open(browser, url);
  scope.defer(() => kay.page.context().close());
  const { keyboard } = kay.page;
  await keyboard.type("Kay");
  await keyboard.press("Enter");
  await kay.you();
  await keyboard.type("by keys");
  await keyboard.press("Enter");
  await mia.sees("by keys");
  await keyboard.type("look here @mi");
  await kay.page.getByRole("option", { name: "Mia", exact: true }).waitFor();
  assert.deepEqual(await findings(kay), []);
  await keyboard.press("Enter");
  await keyboard.press("Enter");
  await mia.page.locator(".mentions-me", { hasText: "look here @Mia" }).waitFor();
  await tabTo(kay, "log", "Shift+Tab");
  await keyboard.press("ArrowUp");
  await keyboard.press("ArrowUp");
  assert.match(await kay.page.evaluate(() => document.activeElement.textContent), /by keys/);
  await keyboard.press("Tab");
  await keyboard.press("Enter");
  await keyboard.press("ArrowRight");
  await keyboard.press("Enter");
  await mia.message("by keys").getByRole("button", { name: /1$/ }).waitFor();
  await keyboard.press("Escape");
  assert.equal(await kay.page.evaluate(() => document.activeElement.id), "composer");
});

suite.check("scrolling up loads what was said before, in order", async (scope) => {
  const COUNT = 120;
  const writer = io(`${url}/chat`, { auth: { token: sign(secret, "writer", "Writer") }, forceNew: true });
  scope.defer(() => writer.close());
  await writer.timeout(5000).emitWithAck("join", { room: "long" });
  for (let n = 0; n < COUNT; n++) {
    const { error } = await writer.timeout(5000).emitWithAck("message", { room: "long", text: `line ${n}.` });
    assert.equal(error, undefined, JSON.stringify(error));
  }
  await ann.joinRoom("long");
  await ann.sees(`line ${COUNT - 1}.`);
  assert.equal((await ann.texts()).length, 50);
  await ann.page.locator(".log").focus();
  await ann.page.locator(".log").evaluate((log) => log.scrollTo(0, 0));
  await ann.sees("line 40.");
  await ann.page.getByRole("button", { name: "Load earlier messages" }).focus();
  await ann.page.keyboard.press("Enter");
  await ann.sees("line 0.");
  assert.deepEqual(await ann.texts(), Array.from({ length: COUNT }, (_, n) => `line ${n}.`));
  await ann.pick("lobby");
});

/** Cuts Ann's connection, has something said meanwhile by both, and returns how she came back. */
async function cutAndBack(word, awayMs) {
  proxy.cut();
  await ann.page.getByText("The connection is lost.").waitFor();
  await mia.say(`${word}: said meanwhile`);
  await mia.sees(`${word}: said meanwhile`);
  await ann.say(`${word}: written offline`);
  await ann.message(`${word}: written offline`).getByText("Waits for the connection.").waitFor();
  await new Promise((resolve) => setTimeout(resolve, awayMs));
  proxy.mend();
  await ann.page.getByRole("button", { name: "Try now" }).click({ timeout: 1000 }).catch(() => undefined);
  const back = ann.page.locator(".notice", { hasText: "Connected again." });
  await back.waitFor();
  const how = await back.textContent();
  await mia.sees(`${word}: written offline`);
  await ann.sees(`${word}: said meanwhile`);
  await ann.message(`${word}: written offline`).getByText("Waits").waitFor({ state: "detached" });
  for (const text of ["said meanwhile", "written offline"]) {
    assert.equal(await ann.message(`${word}: ${text}`).count(), 1, text);
    assert.equal(await mia.message(`${word}: ${text}`).count(), 1, text);
  }
  await back.getByRole("button", { name: "Dismiss" }).click();
  return how;
}

suite.check("a short loss of the connection is recovered: nothing was missed", async () => {
  assert.match(await cutAndBack("short loss", 0), /Nothing was missed/);
});

suite.check("a long one is made up for: rooms are joined anew", async () => {
  assert.match(await cutAndBack("long loss", LONG_CUT_MS), /joined anew/);
  await mia.say("after the long loss");
  await ann.sees("after the long loss");
});

suite.check("a moderator mutes, and kicks; who was kicked may come back", async () => {
  await mia.memberMenu("Ann", "Mute");
  const mute = mia.page.getByRole("dialog", { name: "Mute Ann" });
  await mute.getByLabel("Reason").fill("too loud");
  await mute.getByRole("button", { name: "Mute" }).click();
  await ann.told("A moderator muted you in lobby");
  await ann.say("but why");
  await ann.message("but why").getByText(/Not sent\..*muted/).waitFor();
  await ann.message("but why").getByRole("button", { name: "Discard" }).click();
  await mia.memberMenu("Ann", "Kick");
  const kick = mia.page.getByRole("dialog", { name: "Kick Ann" });
  await kick.getByLabel("Reason").fill("take a break");
  assert.deepEqual(await findings(mia), []);
  await kick.getByRole("button", { name: "Kick" }).click();
  await ann.page.getByText("A moderator removed you from this room. Reason: take a break").waitFor();
  await mia.page.locator("#members").getByText("Ann").waitFor({ state: "detached" });
  assert.ok(await ann.input.isDisabled());
  await ann.page.getByRole("button", { name: "Enter again" }).click();
  await mia.page.locator("#members").getByText("Ann").waitFor();
});

suite.check("a bad token is refused in words", async (scope) => {
  const eve = await Tab.open(browser, url);
  scope.defer(() => eve.page.context().close());
  await eve.page.getByText("Sign in with a token").click();
  await eve.page.getByLabel("Token", { exact: true }).fill(sign("another secret, also of thirty-two bytes", "eve", "Eve", ["moderator"]));
  await eve.page.getByRole("button", { name: "Enter" }).click();
  await eve.page.getByRole("alert").filter({ hasText: "not signed by anybody this node trusts" }).waitFor();
});

suite.check("it fits a phone, with drawers at the sides", async (scope) => {
  const zoe = await Tab.guest(browser, url, "Zoe", PHONE);
  scope.defer(() => zoe.page.context().close());
  await zoe.say(`A word as long as ${"o".repeat(300)} must not make the page wide, and https://example.org/${"x".repeat(200)} neither.`);
  await mia.sees("A word as long as");
  assert.equal(await zoe.overflow(), 0);
  await zoe.page.getByRole("button", { name: "Rooms", exact: true }).tap();
  await zoe.page.locator(".sidebar.open").waitFor();
  assert.deepEqual(await findings(zoe), []);
  assert.equal(await zoe.overflow(), 0);
  await zoe.page.keyboard.press("Escape");
  await zoe.page.locator(".sidebar:not(.open)").waitFor({ state: "hidden" });
  await zoe.page.getByRole("button", { name: "Members", exact: true }).tap();
  await zoe.page.locator("#members").getByText("Mia").tap();
  await zoe.page.getByRole("menuitem", { name: "Mention Mia" }).tap();
  assert.equal(await zoe.input.inputValue(), "@Mia ");
  assert.equal(await zoe.overflow(), 0);
});

suite.check("a screen reader finds its way: axe-core has no serious word, in light and in dark", async (scope) => {
  const front = await Tab.open(browser, url);
  scope.defer(() => front.page.context().close());
  for (const colorScheme of ["light", "dark"]) {
    for (const tab of [front, ann, mia]) {
      await tab.page.emulateMedia({ colorScheme });
      assert.deepEqual(await findings(tab), [], colorScheme);
    }
  }
});

suite.check("the browser had nothing to complain about", async () => {
  assert.deepEqual(Tab.errors, []);
});

await suite.run();
