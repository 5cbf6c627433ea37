// A headless Chromium of this machine.

import { accessSync, constants } from "node:fs";
import path from "node:path";

import { chromium } from "playwright-core";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const ARGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"];

function find() {
  const folders = [...(process.env.PATH ?? "").split(path.delimiter), "/usr/bin"].filter(Boolean);
  const all = NAMES.flatMap((name) => folders.map((folder) => path.join(folder, name)));
  return [process.env.CHROMIUM, ...all].filter(Boolean).find((file) => {
    try {
      accessSync(file, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Starts it; ends the process with a word about what to install where there is none. */
export async function launch() {
  const executablePath = find();
  if (!executablePath) {
    console.error("there is no Chromium: install one (Debian and Ubuntu: apt install chromium), or name it in the variable CHROMIUM");
    process.exit(1);
  }
  return chromium.launch({ executablePath, args: ARGS });
}
