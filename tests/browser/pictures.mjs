// Takes the pictures for the README: `node pictures.mjs URL SECRET FOLDER`, on a node that was just started.

import path from "node:path";

import { launch } from "./lib/chromium.mjs";
import { Tab } from "./lib/tab.mjs";

const [url, secret, folder] = process.argv.slice(2);
if (!folder) {
  console.error("usage: node pictures.mjs http://HOST:PORT SECRET FOLDER");
  process.exit(2);
}

const browser = await launch();
const WIDE = { viewport: { width: 1200, height: 760 } };
const PHONE = { viewport: { width: 390, height: 760 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 };

const take = (tab, name) => tab.page.screenshot({ path: path.join(folder, `${name}.png`) });
const user = (id, name, roles, options) => Tab.user(browser, url, secret, { user: id, name, roles }, options);

const mia = await user("mia", "Mia", ["moderator"], WIDE);
const jonas = await user("jonas", "Jonas", [], WIDE);
const aylin = await Tab.guest(browser, url, "Aylin", WIDE);
const sam = await Tab.guest(browser, url, "Sam", WIDE);

await mia.page.getByRole("button", { name: "More about this conversation" }).click();
await mia.page.getByRole("menuitem", { name: "Set the topic" }).click();
await mia.page.getByRole("textbox", { name: "Topic" }).fill("Plans for the hill walk on Saturday");
await mia.page.getByRole("button", { name: "Set", exact: true }).click();
for (const room of ["garden", "music"]) {
  await mia.joinRoom(room);
  await mia.head.filter({ hasText: room }).waitFor();
  await jonas.joinRoom(room);
  await jonas.head.filter({ hasText: room }).waitFor();
}
await mia.pick("lobby");
await jonas.pick("lobby");

async function said(tab, text) {
  await tab.say(text);
  await Promise.all([mia, jonas].map((one) => one.sees(text.replace("darn", "****"))));
}

await said(aylin, "Who is coming on Saturday? The forecast is good until three.");
await said(aylin, "Meeting point as last time: https://example.org/old-mill");
await said(jonas, "I am in. Can bring tea for five.");
await said(sam, "Me too, but the early train is darn full. Is half past nine all right?");
await mia.tool("half past nine", "Reply");
await said(mia, "Half past nine is fine. @Jonas shall we take the bakery on the way?");
await aylin.tool("tea for five", "React");
await aylin.page.getByRole("menuitem", { name: "❤️" }).click();
await sam.tool("tea for five", "React");
await sam.page.getByRole("menuitem", { name: "❤️" }).click();
await sam.tool("tea for five", "React");
await sam.page.getByRole("menuitem", { name: "🎉" }).click();
await said(jonas, "Yes! They open at eight.");
await aylin.memberMenu("Jonas", "Direct message");
await aylin.say("Could you lend me your poles again?");
await jonas.page.locator(".thread", { hasText: "Aylin" }).waitFor();
await sam.joinRoom("music");
await sam.head.filter({ hasText: "music" }).waitFor();
await sam.say("The new record is out.");
await jonas.page.locator(".thread", { hasText: "music" }).locator(".badge").waitFor();
await sam.pick("lobby");
await aylin.pick("lobby");
await jonas.page.getByText("Read by").last().waitFor();
await sam.input.pressSequentially("I sha");
await jonas.page.getByText("Sam is typing…").waitFor();
for (const tab of [jonas, sam]) {
  for (const button of await tab.page.getByRole("button", { name: "Dismiss" }).all()) await button.click();
  await tab.input.focus();
  await tab.page.mouse.move(600, 5);
}
await take(jonas, "chat");

await sam.say("Whoever made this weather app is a moron");
await sam.message("a moron").getByText("Not sent.").waitFor();
await take(sam, "refused");

await mia.page.emulateMedia({ colorScheme: "dark" });
await sam.say("cheap lottery tickets, ask me");
await mia.page.locator("#members").getByRole("button", { name: "Sam", exact: true }).click();
await mia.page.getByRole("menuitem", { name: "Mute" }).focus();
await take(mia, "moderator");
await mia.page.keyboard.press("Escape");

const phone = await user("lena", "Lena", [], PHONE);
await phone.sees("They open at eight.");
await phone.page.mouse.move(200, 5);
await take(phone, "phone");
await phone.page.getByRole("button", { name: "Rooms", exact: true }).tap();
await phone.page.locator(".sidebar.open").waitFor();
await take(phone, "phone-rooms");
await browser.close();
