// One tab with the chat page, as the one in front of it uses it.

import { sign } from "../../../examples/chat/token.mjs";

/** How long something may take that should happen at once. */
const SOON_MS = 10_000;

export class Tab {
  /** Errors that the page met: there must be none. */
  static errors = [];

  /** Opens the page in a context of its own: another person. */
  static async open(browser, url, options = {}) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, reducedMotion: "reduce", ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(SOON_MS);
    page.on("pageerror", (error) => Tab.errors.push(String(error.stack)));
    page.on("console", (message) => {
      // a connection that a check cuts is an error to the browser, too
      if (message.type() === "error" && !/net::ERR|WebSocket connection|status of/.test(message.text())) Tab.errors.push(message.text());
    });
    await page.goto(url);
    return new Tab(page);
  }

  /** The same, signed in as a guest. */
  static async guest(browser, url, name, options) {
    const tab = await Tab.open(browser, url, options);
    await tab.page.getByLabel("Your name").fill(name);
    return tab.#enter();
  }

  /** The same, with a token. */
  static async user(browser, url, secret, { user, name, roles }, options) {
    const tab = await Tab.open(browser, url, options);
    await tab.page.getByText("Sign in with a token").click();
    await tab.page.getByLabel("Token", { exact: true }).fill(sign(secret, user, name, roles));
    return tab.#enter();
  }

  constructor(page) {
    this.page = page;
  }

  async #enter() {
    await this.page.getByRole("button", { name: "Enter" }).click();
    await this.page.getByRole("button", { name: "Sign out" }).or(this.page.locator("#composer")).first().waitFor();
    await this.you();
    return this;
  }

  /** Waits until this one is in the room that is shown. */
  async you() {
    await this.page.locator("#members .member").filter({ hasText: " you" }).waitFor({ state: "attached" });
  }

  get input() {
    return this.page.locator("#composer");
  }

  get head() {
    return this.page.getByRole("heading", { level: 1 });
  }

  /** The messages with this text, each one an article. */
  message(text) {
    return this.page.locator("article").filter({ has: this.page.locator(".text", { hasText: text }) });
  }

  async say(text) {
    await this.input.fill(text);
    await this.input.press("Enter");
  }

  /** Waits until a message is there. */
  async sees(text) {
    await this.message(text).first().waitFor();
  }

  /** Waits until a notice was shown. */
  async told(text) {
    await this.page.locator(".notice", { hasText: text }).first().waitFor();
  }

  /** Uses one of the tools of a message. */
  async tool(text, name) {
    await this.message(text).first().hover();
    await this.message(text).first().getByRole("button", { name, exact: true }).click();
  }

  /** An entry of the menu of a member. */
  async memberMenu(name, entry) {
    await this.page.locator("#members").getByRole("button", { name, exact: true }).click();
    await this.page.getByRole("menuitem", { name: entry, exact: true }).click();
  }

  async pick(thread) {
    await this.page.locator(".thread", { hasText: thread }).click();
    await this.head.filter({ hasText: thread }).waitFor();
  }

  async joinRoom(room) {
    await this.page.getByRole("button", { name: "Join or create a room" }).click();
    const dialog = this.page.getByRole("dialog");
    await dialog.getByLabel("Room").fill(room);
    await dialog.getByRole("button", { name: "Go" }).click();
  }

  /** The texts that are shown, in their order. */
  texts() {
    return this.page.locator("article .text").allTextContents();
  }

  /** How much wider the page is than its window. */
  overflow() {
    return this.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  }
}
