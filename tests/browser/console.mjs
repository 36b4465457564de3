// The console in Chromium, over a real signalbox-mgmt and a stand-in for the box.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { main, openPage, startBox } from "./_box.mjs";

const SHOTS = "build/browser";
const DEADLINE_MS = 15000;

async function withPage(options, run) {
  const box = await startBox();
  const { page, seen, close } = await openPage(options);
  page.setDefaultTimeout(DEADLINE_MS);
  try {
    await run(box, page, seen);
  } finally {
    await close();
    assert.equal(await box.stop(), 0);
  }
}

const isLive = (page) => page.waitForSelector("#stream.live");

async function number(page, series) {
  const text = await page.textContent(`[data-series="${series}"]`);
  return Number.parseFloat(text);
}

function value(page, name) {
  return page.evaluate((wanted) => {
    const rows = [...document.querySelectorAll("#counters tbody tr")];
    const row = rows.find((r) => r.cells[0].textContent === wanted);
    return Number(row.cells[2].textContent.replaceAll("\u202f", ""));
  }, name);
}

// Waits until a counter on the page has grown, twice: updates go on by themselves.
async function seesItMove(page) {
  let before = await value(page, "PUBLISHES");
  for (let i = 0; i < 2; i++) {
    await page.waitForFunction(
      (old) => {
        const rows = [...document.querySelectorAll("#counters tbody tr")];
        const row = rows.find((r) => r.cells[0].textContent === "PUBLISHES");
        return Number(row.cells[2].textContent.replaceAll("\u202f", "")) > old;
      },
      before,
    );
    before = await value(page, "PUBLISHES");
  }
}

const look = (width, height, colorScheme) => () =>
  withPage({ viewport: { width, height }, colorScheme }, async (box, page, seen) => {
    await page.goto(box.url);
    await isLive(page);
    box.say("drop");
    await page.waitForSelector("#drops:not([hidden])");
    await seesItMove(page);
    assert.ok((await number(page, "PUBLISHES")) > 0);
    assert.equal(await page.textContent("#health"), "healthy");
    assert.equal(await page.locator("#workers tbody tr").count(), 2);
    assert.equal(await page.locator("#processes tbody tr").count(), 3);
    const line = page.locator("#tiles .tile .stroke").first();
    assert.match(await line.getAttribute("d"), /^M.*L/);

    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(wide <= width, `the page is ${wide} wide at ${width}`);
    mkdirSync(SHOTS, { recursive: true });
    const path = `${SHOTS}/console-${width}-${colorScheme}.png`;
    await page.screenshot({ path, fullPage: true });

    assert.deepEqual(seen.problems, []);
    const elsewhere = seen.urls.filter((u) => !u.startsWith(`${box.url}/`));
    assert.deepEqual(elsewhere, []);
  });

async function saysWhatIsDown() {
  await withPage({}, async (box, page) => {
    await page.goto(box.url);
    await isLive(page);
    box.say("stall");
    await page.waitForSelector("#health.down");
    const reasons = await page.textContent("#reasons");
    assert.match(reasons, /worker 0 has not moved for \d+ ms/);
    assert.match(reasons, /the control plane has not moved/);
    assert.equal((await fetch(`${box.url}/healthz`)).status, 503);
    box.say("go");
    await page.waitForSelector("#health.ok");
    assert.equal((await fetch(`${box.url}/healthz`)).status, 200);
  });
}

async function reconnects() {
  await withPage({}, async (box, page) => {
    await page.goto(box.url);
    await isLive(page);
    box.say("restart");
    await box.next();
    await page.waitForSelector("#stream:not(.live)");
    await isLive(page);
    await seesItMove(page);
  });
}

// Names come from our own tables today; the page must not depend on that.
async function showsMarkupAsText() {
  const evil = "<img src=x onerror=\"document.title='taken'\">";
  await withPage({}, async (box, page) => {
    await page.route("**/api/v1/monitor/counters", async (route) => {
      const body = await (await route.fetch()).json();
      const row = body.counters.find((c) => c.name === "PUBLISHES");
      row.text = evil;
      await route.fulfill({ json: body });
    });
    await page.goto(box.url);
    await isLive(page);
    await page.waitForFunction((text) => document.body.innerText.includes(text), evil);
    assert.equal(await page.title(), "Signalbox");
    assert.equal(await page.locator("#counters img").count(), 0);
  });
}

async function filtersCounters() {
  await withPage({}, async (box, page) => {
    await page.goto(box.url);
    await isLive(page);
    const shows = (least, most) =>
      page.waitForFunction(([from, to]) => {
        const rows = document.querySelectorAll("#counters tbody tr:not([hidden])").length;
        return rows >= from && rows <= to;
      }, [least, most]);
    await shows(5, 30); // those that are not 0
    await page.fill("#filter", "publish_bytes");
    await shows(1, 1);
    await page.fill("#filter", "icmp"); // all at 0, but asked for
    await shows(2, 40);
    await page.fill("#filter", "");
    await page.check("#zeros");
    await shows(100, 1000);
  });
}

async function servesWithoutPrivileges() {
  const box = await startBox();
  try {
    const status = readFileSync(`/proc/${box.pid}/status`, "utf8");
    const field = (name) => status.match(new RegExp(`^${name}:[ \\t]*(.*)$`, "m"))[1];
    assert.ok(!field("Uid").split(/\s+/).includes("0"), field("Uid"));
    assert.ok(!field("Gid").split(/\s+/).includes("0"), field("Gid"));
    assert.equal(field("Groups").trim(), "");
    assert.equal(field("NoNewPrivs"), "1");
    for (const set of ["CapInh", "CapPrm", "CapEff", "CapAmb"])
      assert.match(field(set), /^0+$/, set);
  } finally {
    assert.equal(await box.stop(), 0);
  }
}

await main({
  console_at_1280: look(1280, 1000, "light"),
  console_at_1280_dark: look(1280, 1000, "dark"),
  console_at_390: look(390, 844, "light"),
  console_says_what_is_down: saysWhatIsDown,
  console_reconnects: reconnects,
  console_shows_markup_as_text: showsMarkupAsText,
  console_filters_counters: filtersCounters,
  mgmt_serves_without_privileges: servesWithoutPrivileges,
});
