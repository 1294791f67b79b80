/**
 * Load a picture into the page with a real browser, as a user would, and print what the page says.
 *
 * node drive.mjs '{"url": ..., "browser": ..., "picture": ..., ...}', see `Order`.
 */

import { createRequire } from "node:module";

/**
 * @typedef {object} Order
 * @property {string} url of the page.
 * @property {string} browser executable.
 * @property {string} [picture] file to choose; without one the page's example is taken.
 * @property {Record<string, string>} [settings] values of the selects by id.
 * @property {string} [download] where to save the result.
 * @property {string} [screenshot] where to save what the page looks like.
 * @property {string[]} [args] of the browser.
 * @property {object} [page] options of the browser's context, such as `viewport`.
 * @property {boolean} [slide] move the slider with the keyboard.
 * @property {number} [touch] drag the slider with a finger from the middle to this share.
 * @property {boolean} [zoom] press Actual size.
 * @property {boolean} [cancel] press Cancel as soon as there is a first tile.
 * @property {string} [elsewhere] an address that neither page nor worker may reach.
 */

/** Try to send something away; runs in the page and in its worker. */
const send = (/** @type {string} */ address) =>
  fetch(address, { mode: "no-cors", method: "POST", body: "x" }).then(
    () => "sent",
    () => "refused",
  );

const require = createRequire(new URL("../../export/web/package.json", import.meta.url));
const { chromium } = require("playwright-core");

/** @type {Order} */
const order = JSON.parse(process.argv[2]);
const browser = await chromium.launch({
  executablePath: order.browser,
  args: ["--no-sandbox", ...(order.args ?? [])],
});
try {
  const context = await browser.newContext({ acceptDownloads: true, ...order.page });
  context.setDefaultTimeout(300_000); // a busy machine is slow
  const page = await context.newPage();
  const complaints = [];
  const origins = new Set();
  page.on("console", (entry) => entry.type() === "error" && complaints.push(entry.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  context.on("request", (request) => origins.add(new URL(request.url()).origin));
  let elsewhere = null;
  if (order.elsewhere) {
    page.once("worker", (worker) => {
      elsewhere = Promise.all([page, worker].map((place) => place.evaluate(send, order.elsewhere)));
    });
  }
  await page.goto(order.url);
  for (const [id, value] of Object.entries(order.settings ?? {})) {
    await page.selectOption(`#${id}`, value);
  }
  if (order.picture) await page.setInputFiles("#file", order.picture);
  else await page.click("#example button");
  let longest = 0;
  if (order.cancel) {
    await page.waitForSelector("#progress[value]");
    await page.click("#cancel");
    // A browser may let a worker finish its step for some seconds before it ends it.
    for (let wait = 0; page.workers().length > 0 && wait < 100; wait++) {
      await page.waitForTimeout(100);
    }
  } else {
    longest = await page.evaluate(async () => {
      let longest = 0;
      let last = performance.now();
      for (;;) {
        await new Promise((resolve) => setTimeout(resolve, 10));
        longest = Math.max(longest, performance.now() - last);
        last = performance.now();
        const shown = (id) => !document.getElementById(id).hidden;
        if (shown("download") || shown("error")) return longest;
      }
    });
  }
  const position = () =>
    page.evaluate(() => getComputedStyle(document.getElementById("stage")).getPropertyValue("--split"));
  const split = [await position()];
  if (order.slide) {
    await page.focus("#split");
    for (const key of ["ArrowRight", "ArrowRight"]) await page.keyboard.press(key);
    split.push(await position());
  }
  if (order.touch) {
    const { x, y, width, height } = await page.locator("#split").boundingBox();
    const session = await context.newCDPSession(page);
    const touch = (type, share) =>
      session.send("Input.dispatchTouchEvent", {
        type,
        touchPoints: type === "touchEnd" ? [] : [{ x: x + share * width, y: y + height / 2 }],
      });
    await touch("touchStart", 0.5);
    for (const part of [0.25, 0.5, 0.75, 1]) {
      await touch("touchMove", 0.5 + part * (order.touch - 0.5));
    }
    await touch("touchEnd", order.touch);
    split.push(await position());
  }
  if (order.zoom) await page.click("#zoom");
  const said = await page.evaluate(() => {
    const text = (id) => document.getElementById(id).innerText;
    const rows = [...document.querySelectorAll("#facts dt")];
    const names = rows.map((row) => [row.textContent, row.nextElementSibling.textContent]);
    const seen = (id) => (document.getElementById(id).checkVisibility() ? text(id) : "");
    const kernel = document.getElementById("kernel");
    const pixels = kernel.getContext("2d").getImageData(0, 0, kernel.width, kernel.height).data;
    const shades = pixels.filter((_, at) => at % 4 === 3);
    const top = shades.indexOf(Math.max(...shades));
    return {
      brightest: [Math.floor(top / kernel.width), top % kernel.width],
      status: seen("status"),
      error: seen("error"),
      notes: [...document.querySelectorAll("#notes li")].map((item) => item.textContent),
      facts: Object.fromEntries(names),
      width: seen("width"),
      doubt: seen("doubt"),
      name: document.getElementById("download").download,
      sideways: document.documentElement.scrollWidth > innerWidth,
    };
  });
  if (order.download) {
    const [saved] = await Promise.all([page.waitForEvent("download"), page.click("#download")]);
    await saved.saveAs(order.download);
  }
  if (order.screenshot) await page.screenshot({ path: order.screenshot, fullPage: true });
  const seen = { complaints, origins: [...origins], longest, split, workers: page.workers().length };
  console.log(JSON.stringify({ ...said, ...seen, elsewhere: await elsewhere }));
} finally {
  await browser.close();
}
