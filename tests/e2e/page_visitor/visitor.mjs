// Visits the pages of a server in a real browser, by the keyboard alone, and examines each with axe.
// Arguments: the browser, the address of the server, a user, the password, and a folder for screenshots (or nothing).
// Prints JSON: what axe found on which page, what the visit met, whether anything was too wide for its window, and of
// each page the bytes that were loaded and the milliseconds to its first paint.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const [executablePath, base, user, password, folder] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const found = { violations: [], wide: [], examined: 0, met: {}, bytes: {}, paints: {} };

async function measure(page, name) {
  const [bytes, paint] = await page.evaluate(`(() => {
    const loaded = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
    const paints = performance.getEntriesByName("first-contentful-paint");
    return [loaded.reduce((sum, one) => sum + one.decodedBodySize, 0), paints.length ? paints[0].startTime : null];
  })()`);
  found.bytes[name] = Math.max(found.bytes[name] ?? 0, bytes);
  if (paint !== null) found.paints[name] = Math.round(Math.max(found.paints[name] ?? 0, paint));
}

async function examine(page, name) {
  const run = `(() => { ${axe}; return axe.run(document).then(({ violations }) =>
    violations.map(one => one.id + " " + one.nodes.map(node => node.target.join(" ")).join(", "))); })()`;
  for (const text of await page.evaluate(run)) found.violations.push(`${name}: ${text}`);
  if (await page.evaluate("document.documentElement.scrollWidth > innerWidth")) found.wide.push(name);
  found.examined += 1;
}

// Moves the focus by the tabulator key until it is on an element with this text or name, or with one that begins so if
// a * is at its end.
async function tabTo(page, wanted) {
  for (let step = 0; step < 60; step += 1) {
    const here = await page.evaluate(
      "(document.activeElement.innerText || document.activeElement.name || '').trim().replace(/\\s+/g, ' ')");
    if (here === wanted || (wanted.endsWith("*") && here.startsWith(wanted.slice(0, -1)))) return;
    await page.keyboard.press("Tab");
  }
  throw new Error(`the tabulator key never gets to ${wanted} on ${page.url()}`);
}

async function activate(page, wanted, key = "Enter") {
  await tabTo(page, wanted);
  await Promise.all([page.waitForNavigation(), page.keyboard.press(key)]);
}

async function logIn(page, typed = password) {
  await page.goto(`${base}/login`);
  await tabTo(page, "username");
  await page.keyboard.type(user);
  await tabTo(page, "password");
  await page.keyboard.type(typed);
  await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
}

async function logInElsewhere() {
  const other = await browser.newContext();
  await logIn(await other.newPage());
  await other.close();
}

async function type(page, field, text) {
  await tabTo(page, field);
  await page.keyboard.press("Control+A");
  await page.keyboard.type(text);
}

// Fills in and sends each form; what the pages say then, by what was done.
async function everyForm(page) {
  const met = {};
  const told = async (name, place = "[role=status]") => { met[name] = (await page.innerText(place)).trim(); };
  await logIn(page, "wrong");
  await told("wrong password", "[role=alert]");
  await logIn(page);
  await page.goto(`${base}/account/keys/new`);
  await tabTo(page, "Narrow it further");
  await page.keyboard.press("Enter");
  await type(page, "repositories", "web/[a]");
  await activate(page, "Make a key");
  await told("wrong pattern", "[role=alert]");
  met["what is wrong"] = (await page.innerText("#repositories-wrong")).trim();
  await page.goto(`${base}/account/keys/new`);
  await type(page, "name", "second");
  await activate(page, "Make a key");
  await page.goto(`${base}/account`);
  await activate(page, "second");
  await type(page, "name", "third");
  await activate(page, "Rename");
  await told("rename");
  await activate(page, "third");
  await activate(page, "Replace this key");
  await told("replace", "h1");
  await page.goto(`${base}/robots/ci`);
  await type(page, "name", "runner");
  await activate(page, "Make a secret");
  await told("secret", "h1");
  await page.goto(`${base}/robots/ci`);
  await activate(page, "Replace runner");
  await told("replace secret", "h1");
  await page.goto(`${base}/robots/ci`);
  await activate(page, "End runner");
  await activate(page, "Yes, end it");
  await told("end secret");
  await page.goto(`${base}/account`);
  await activate(page, "End *");
  await activate(page, "Yes, end it");
  await told("end login");
  await activate(page, "End all other logins");
  await activate(page, "Yes, end it");
  await told("end others");
  for (const [path, name] of [["access", "access"], ["admin/who-can", "who can"]]) {
    await page.goto(`${base}/${path}`);
    await type(page, "repository", "web/app");
    await activate(page, "Ask");
    await told(name, "#answer");
  }
  await page.goto(`${base}/device`);
  await type(page, "user_code", "BCDF-GHJK");
  await activate(page, "Go on");
  await told("wrong code", "[role=alert]");
  await type(page, "user_code", await askForCode());
  await activate(page, "Go on");
  await told("question", "h1");
  await activate(page, "Yes, I started it: confirm");
  await told("device");
  await page.goto(`${base}/admin`);
  await type(page, "user", user);
  await activate(page, "Show");
  await told("person", "h1");
  await type(page, "reason", "lost");
  await activate(page, "End *");
  await activate(page, "Yes, end it");
  await told("end key of somebody");
  await logInElsewhere();
  await page.reload();
  await activate(page, "End Mozilla*");
  await activate(page, "Yes, end it");
  await told("end login of somebody");
  await logInElsewhere();
  await page.reload();
  await tabTo(page, "End Mozilla*");
  await type(page, "reason", "lost");
  await activate(page, "End all logins");
  await activate(page, "Yes, end it");
  await told("end logins of somebody");
  await page.goto(`${base}/admin/policies`);
  await tabTo(page, "file");
  await page.keyboard.press("Space");
  await activate(page, "Open the chosen files");
  await told("file", "label[for='text.0']");
  await tabTo(page, "text.0");
  await page.keyboard.type("# by the keyboard\n");
  await activate(page, "Examine");
  await told("change", "#result");
  return met;
}

const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
for (const colorScheme of ["light", "dark"]) {
  for (const [width, height] of [[360, 800], [768, 1024], [1280, 900]]) {
    const context = await browser.newContext({ colorScheme, viewport: { width, height } });
    const page = await context.newPage();
    const look = async (name) => {
      await measure(page, name);
      await examine(page, `${name} ${colorScheme} ${width}`);
      if (folder) await page.screenshot({ path: `${folder}/${name}-${colorScheme}-${width}.png` });
    };
    await page.goto(`${base}/`);
    await look("home");
    await page.goto(`${base}/login`);
    await look("login");
    await logIn(page);
    await look("account");
    for (const path of ["account/keys/new", "admin", `admin/person?user=${user}`, "robots/ci", "access", "device",
      "admin/policies", "admin/who-can", "admin/matrix"]) {
      await page.goto(`${base}/${path}`);
      await look(path.replace(/[?].*/, "").replaceAll("/", "-"));
    }
    for (const [path, action] of [["access", "push"], ["access", "delete"], ["admin/who-can", "pull"]]) {
      await page.goto(`${base}/${path}?action=${action}&repository=web/app`);
      await look(`${path.replaceAll("/", "-")}-${action}`);
    }
    await page.goto(`${base}/admin/policies?file=root.yaml`);
    const text = page.locator("textarea").first();
    await text.fill((await text.inputValue()).replace("role: writer", "role: reader"));
    await Promise.all([page.waitForNavigation(), page.getByRole("button", { name: "Examine" }).click()]);
    await look("admin-policies-examined");
    found.met.change = await page.innerText("main");
    await page.goto(`${base}/device?user_code=${await askForCode()}`);
    await look("device-confirm");
    await Promise.all([page.waitForNavigation(), page.getByRole("button", { name: "Deny" }).click()]);
    await look("device-done");
    await page.goto(`${base}/account/keys/none`);
    await look("error");
    await context.close();
  }
}

async function askForCode() {
  const asked = await fetch(`${base}/device/code`,
    { method: "POST", body: new URLSearchParams({ client_id: "tokenserver-helper" }) });
  return (await asked.json()).user_code;
}

// From here on by the keyboard alone.
const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
const page = await context.newPage();
await logIn(page);
found.met.cookies = (await context.cookies()).map(({ name, httpOnly, sameSite }) => ({ name, httpOnly, sameSite }));
await activate(page, "Make a key");
await tabTo(page, "name");
await page.keyboard.type("by the keyboard");
await activate(page, "Make a key");
await examine(page, "secret");
if (folder) await page.screenshot({ path: `${folder}/secret-light-1280.png` });
const text = await page.innerText("main");
found.met.key = text.match(/tknp_[0-9A-Za-z]{61}/)?.[0];
await page.reload();
found.met.reloaded = await page.innerText("h1");
await page.goto(`${base}/account`);
await activate(page, "by the keyboard");
await examine(page, "key");
await activate(page, "End this key");
await examine(page, "ending");
await activate(page, "Yes, end it");
found.met.ended = (await page.innerText("[role=status]")).trim();
await activate(page, "Log out");
found.met.left = new URL(page.url()).pathname;
await page.goBack();
found.met.back = await page.innerText("h1");

// Two other logins, which are ended below.
for (let count = 0; count < 2; count += 1) {
  await logInElsewhere();
}

// Again in a browser that runs no script of a page; axe is one, so it is left out.
const plain = await browser.newContext({ viewport: { width: 1280, height: 900 }, javaScriptEnabled: false });
found.met.forms = await everyForm(await plain.newPage());
await browser.close();
console.log(JSON.stringify(found));
