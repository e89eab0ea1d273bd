// Opens a report in headless Chromium and holds it against what its readers need.
//
//     node page.mjs REPORT [PICTURES [FIGURES]]
//
// REPORT is a directory that `cograd report` wrote; screenshots of the page go to PICTURES. FIGURES, learning,shares unless said
// otherwise, are those whose numbers are asked for.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const [report, pictures, names = "learning,shares"] = process.argv.slice(2);
const figures = names.split(",");
const address = pathToFileURL(resolve(report, "index.html")).href;
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const WIDTHS = [1280, 390];

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});

async function open(width, colorScheme, settings = {}) {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme, ...settings });
  const page = await context.newPage();
  const complaints = [];
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("request", (request) => request.url() === address || complaints.push(`asks for ${request.url()}`));
  await page.goto(address);
  return { page, complaints };
}

async function nothingOverflows(page, width) {
  const wide = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(wide[0] <= wide[1], `the page is ${wide[0]} pixels wide on a screen of ${width}`);
}

async function isAccessible(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => axe.run());
  const serious = violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
  const told = serious.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.slice(0, 3).map((node) => node.html).join(" ")}`);
  assert.deepEqual(told, []);
}

async function contentsAreReachable(page) {
  const links = page.locator("nav a");
  assert.ok(await links.count() >= 3, "the contents name three sections at least");
  for (const link of await links.all()) {
    const target = await link.getAttribute("href");
    await link.click();
    const { nav, top } = await page.evaluate((target) => ({
      nav: document.querySelector("nav").getBoundingClientRect(),
      top: document.querySelector(target).getBoundingClientRect().top,
    }), target);
    const end = await page.evaluate(() => scrollY + innerHeight >= document.body.scrollHeight - 2);
    assert.ok(nav.top >= -1 && nav.bottom <= 300, `the contents stay in sight at ${target}`);
    assert.ok(end || (top >= nav.bottom - 2 && top < 300), `${target} is ${top} pixels down after a click`);
  }
  await page.evaluate(() => { scrollTo(0, 0); document.activeElement.blur(); });
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.closest("nav") !== null), true, "the keyboard reaches the contents");
}

// Cells of a line of CSV as the report writes them.
const cells = (line) => [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain);

async function hoverShowsTheNumber(page, name) {
  // Of several sheets, the first.
  const [file] = [name, `${name}-1`].map((name) => resolve(report, `${name}.csv`)).filter(existsSync);
  const [head, ...lines] = readFileSync(file, "utf8").trim().split("\n").map(cells);
  const rows = lines.map((line) => Object.fromEntries(head.map((column, place) => [column, line[place]])));
  const panel = page.locator(`#${name} [data-p]`).first();
  await panel.scrollIntoViewIfNeeded();
  const first = rows.filter((row) => row.panel === rows[0].panel && row.row === rows[0].row && row.axis === rows[0].axis);
  const place = await panel.evaluate((panel) => {
    const [left, top, width, height] = panel.dataset.p.split(" ").map(Number);
    const matrix = panel.closest("svg").getScreenCTM();
    const corner = new DOMPoint(left + 0.6 * width, top + 0.5 * height).matrixTransform(matrix);
    const [low, high] = panel.dataset.y.split(" ").slice(1).map(Number);
    return { x: corner.x, y: corner.y, range: high - low };
  });
  await page.mouse.move(place.x, place.y);
  const [at, ...values] = (await page.locator(".tip").innerText()).replaceAll("\u00a0", " ").split("\n");
  const step = Number(at.replace("step ", ""));
  assert.ok(step > 0 && values.length > 0, `${name} shows values under the pointer: ${at}`);
  for (const value of values) {
    const [, series, number] = value.match(/^(.*) (\S+)$/);
    const near = first.filter((row) => row.series === series && Math.abs(Math.log((Number(row.step) + 1) / (step + 1))) < 0.3);
    assert.ok(near.length > 0, `${name} has a series ${series} near step ${step}`);
    const off = Math.min(...near.map((row) => Math.abs(Number(row.value) - Number(number.replace("−", "-")))));
    assert.ok(off <= 0.01 * place.range, `${name}: ${series} is ${number} at step ${step}, off by ${off}`);
  }
}

async function keysSwitchSeries(page, name) {
  const key = page.locator(`#${name} button[data-key]`).first();
  const series = page.locator(`#${name} [data-s="${await key.getAttribute("data-key")}"]`).first();
  for (const [pressed, display] of [["false", "none"], ["true", "inline"]]) {
    await key.focus();
    await page.keyboard.press("Enter");
    assert.equal(await key.getAttribute("aria-pressed"), pressed);
    assert.equal(await series.evaluate((group) => getComputedStyle(group).display), display);
  }
}

for (const width of WIDTHS) {
  for (const colorScheme of ["light", "dark"]) {
    const { page, complaints } = await open(width, colorScheme);
    await nothingOverflows(page, width);
    await isAccessible(page);
    await contentsAreReachable(page);
    for (const name of figures) await hoverShowsTheNumber(page, name);
    await keysSwitchSeries(page, figures.at(-1));
    assert.deepEqual(complaints, []);
    if (pictures) await page.screenshot({ path: resolve(pictures, `page-${width}-${colorScheme}.png`), fullPage: true });
    console.log(`page at ${width} pixels, ${colorScheme}: right`);
    await page.context().close();
  }
  const { page, complaints } = await open(width, "light", { javaScriptEnabled: false });
  assert.ok(await page.locator(".parts svg:visible").count() > 10, "figures are seen without scripts");
  assert.deepEqual(complaints, []);
  await page.context().close();
}
await browser.close();
