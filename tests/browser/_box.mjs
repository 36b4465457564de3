// Starts fake_box with signalbox-mgmt, and a browser; ends both.
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

// NODE_PATH (set by ./test) is where require() looks; import does not.
const require = createRequire(import.meta.url);
const TREE = process.env.SIGNALBOX_TREE || "build/test-gcc";

const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export async function startBox() {
  const mgmt = join(TREE, "mgmt/signalbox-mgmt");
  const child = spawn(join(TREE, "tests/browser/fake_box"), [mgmt], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ended = new Promise((resolve) => child.on("exit", resolve));
  const box = {
    async next() {
      const { value } = await lines.next();
      const [, pid, port] = value.split(" ");
      box.pid = Number(pid);
      box.url = `http://127.0.0.1:${port}`;
    },
    say: (command) => child.stdin.write(`${command}\n`),
    async stop() {
      child.stdin.end();
      return ended;
    },
  };
  await box.next();
  return box;
}

// A fresh profile each time; nothing of it stays.
export async function openPage(options) {
  const { chromium } = require("playwright-core");
  const profile = mkdtempSync(join(tmpdir(), "signalbox-browser-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: "/usr/bin/chromium",
    args: FLAGS,
    ...options,
  });
  const page = context.pages()[0] || (await context.newPage());
  const seen = { problems: [], urls: [] };
  page.on("console", (m) => {
    if (["error", "warning"].includes(m.type())) seen.problems.push(m.text());
  });
  page.on("pageerror", (e) => seen.problems.push(String(e)));
  page.on("request", (r) => seen.urls.push(r.url()));
  const close = async () => {
    await context.close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  };
  return { page, seen, close };
}

// Runs a table {name: async function}, as tests/unit/unit.h does it for C.
export async function main(tests) {
  const names = process.argv.slice(2);
  if (names[0] === "--list") {
    console.log(Object.keys(tests).join("\n"));
    return;
  }
  let failed = 0;
  for (const name of names.length ? names : Object.keys(tests)) {
    try {
      await tests[name]();
      console.log(`ok ${name}`);
    } catch (error) {
      failed++;
      console.log(`not ok ${name}: ${String(error.stack || error).replaceAll("\n", " | ")}`);
    }
  }
  process.exitCode = failed;
}
