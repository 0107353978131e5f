// Takes pictures of the pages of a server in a real browser.
// Reads JSON from standard input: `base` (the address), `folder`, `looks` (each with `name`, `colorScheme`, `width`,
// `locale`), and `steps`, which are done in order for each look. A step has any of `open` (a path), `fill` (values by the
// name of their field), `replace` (of the first large field: a text and its successor), `press` (a button), `code` (a
// login of a program begins, and its page is opened) and `picture` (the name of the file, to which that of the look is
// added). A picture ends below the page's content, and is at most 1,200 pixels high.
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";

const { base, folder, looks, steps } = JSON.parse(readFileSync(0, "utf8"));
const MOST = 1200;

async function submit(page, click) {
  await Promise.all([page.waitForNavigation(), click()]);
}

const KINDS = {
  open: (page, path) => page.goto(base + path),
  code: async (page) => {
    const form = new URLSearchParams({ client_id: "tokenserver-helper" });
    const asked = await (await fetch(`${base}/device/code`, { method: "POST", body: form })).json();
    await page.goto(`${base}/device?user_code=${asked.user_code}`);
  },
  fill: async (page, values) => {
    for (const [name, value] of Object.entries(values)) {
      const field = page.locator(`[name="${name}"]`).first();
      if (await field.evaluate((one) => one.tagName === "SELECT")) await field.selectOption(value);
      else await field.fill(value);
    }
  },
  replace: async (page, [before, after]) => {
    for (const area of await page.locator("textarea").all()) {
      const text = await area.inputValue();
      if (text.includes(before)) await area.fill(text.replace(before, after));
    }
  },
  press: (page, target) => submit(page, () => page.locator(target).first().click()),
  follow: (page, target) => KINDS.press(page, target),
};

async function take(page, name, look) {
  await page.evaluate("document.activeElement.blur()");
  const content = await page.evaluate("Math.ceil(document.querySelector('main').lastElementChild" +
    ".getBoundingClientRect().bottom + scrollY) + 24");
  const height = Math.min(content, look.most ?? MOST);
  await page.screenshot({ path: `${folder}/${name}${look.name}.png`, fullPage: true,
    clip: { x: 0, y: 0, width: look.width, height } });
}

const browser = await chromium.launch({ executablePath: process.argv[2], args: ["--no-sandbox", "--disable-gpu"] });
for (const look of looks) {
  const context = await browser.newContext({ colorScheme: look.colorScheme, locale: look.locale,
    viewport: { width: look.width, height: 200 } });
  const page = await context.newPage();
  for (const { picture, ...deeds } of steps) {
    for (const [kind, value] of Object.entries(deeds)) await KINDS[kind](page, value);
    if (picture) await take(page, picture, look);
  }
  await context.close();
}
await browser.close();
