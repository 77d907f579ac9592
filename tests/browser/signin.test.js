// The mornings of clinic staff: signing in, setting up the second step, the account page, signing out.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { code, signIn, start } from './demo.js'

let demo
before(async () => { demo = await start() })
after(() => demo?.stop())

const phone = { viewport: { width: 320, height: 640 }, isMobile: true, hasTouch: true }

// noSidewaysScroll fails when a page is wider than its window.
async function noSidewaysScroll (page) {
  const [wide, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth])
  assert.ok(wide <= window, `${page.url()} is ${wide} px wide in a window of ${window}`)
}

test('a person with an app signs in and comes to the page they asked for', async () => {
  const page = await demo.page()
  const blocked = []
  page.on('console', m => { if (m.text().includes('Content Security Policy')) blocked.push(m.text()) })
  const { url } = demo.practice('harbour')
  await signIn(page, url, demo.account('harbour', 'admin'), '/billing/?month=11')
  await page.waitForURL(url + '/billing/?month=11')
  assert.deepEqual(blocked, [], 'the pages break their own content security policy')

  const cookies = await page.context().cookies()
  const session = cookies.find(c => c.name === '__Host-gate')
  assert.deepEqual(
    { secure: session.secure, httpOnly: session.httpOnly, sameSite: session.sameSite, path: session.path },
    { secure: true, httpOnly: true, sameSite: 'Lax', path: '/' })
  assert.equal(await page.evaluate(() => document.cookie), '', 'a script of the backend can read a gateway cookie')
})

test('a first sign-in without script: the picture is shown, the key can be typed, the first code leads in', async () => {
  const page = await demo.page({ javaScriptEnabled: false, ...phone })
  const { url } = demo.practice('harbour')
  const who = demo.account('harbour', 'clinician')
  await page.goto(url + '/')
  await page.getByLabel('Email').fill(who.email)
  await page.getByLabel('Password').fill(who.password)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.waitForURL('**/.gate/enrol/totp')
  assert.ok(await page.getByRole('img', { name: /QR code/ }).isVisible())
  const key = (await page.locator('code.key').innerText()).replace(/\s/g, '')
  await page.reload()
  assert.equal((await page.locator('code.key').innerText()).replace(/\s/g, ''), key, 'a reload made the scanned key worthless')

  await page.getByLabel(/6-digit code/).fill('000 000')
  await page.getByRole('button', { name: 'Finish' }).click()
  assert.ok(await page.getByRole('alert').isVisible(), 'a wrong code goes unanswered')
  await page.getByLabel(/6-digit code/).fill(await code(key))
  await page.getByRole('button', { name: 'Finish' }).click()
  await page.waitForURL(url + '/')
})

test('wrong details say so in one sentence, keep the address and put the focus on the message', async () => {
  const page = await demo.page()
  await page.goto(demo.practice('acacia').url + '/.gate/login')
  await page.getByLabel('Email').fill('nobody@acacia.test')
  await page.getByLabel('Password').fill('not the password')
  await page.keyboard.press('Enter')
  const alert = page.getByRole('alert')
  await alert.waitFor()
  assert.equal(await page.getByLabel('Email').inputValue(), 'nobody@acacia.test')
  assert.equal(await page.getByLabel('Password').inputValue(), '')
  assert.ok(await alert.evaluate(e => e === document.activeElement), 'the focus is elsewhere')
  assert.match(await page.title(), /^Error: /)
})

test('at a shared workstation "Not you?" leads to an empty form and leaves nothing behind', async () => {
  const page = await demo.page({ javaScriptEnabled: false })
  const { url } = demo.practice('harbour')
  const who = demo.account('harbour', 'reviewer')
  await signIn(page, url, { ...who, totp_secret: '' }, '/patients/7')
  await page.waitForURL('**/.gate/login/totp')
  assert.match(await page.title(), /Harbour Family Practice/)
  assert.match(await page.locator('main').innerText(), new RegExp(who.email), 'whose code is asked for is not said')
  await page.getByRole('button', { name: 'Not you?' }).click()
  await page.waitForURL(url + '/.gate/login')
  assert.equal(await page.getByLabel('Email').inputValue(), '')
  assert.deepEqual((await page.context().cookies()).map(c => c.name), [])
  await page.goto(url + '/.gate/login/totp')
  assert.match(page.url(), /\/\.gate\/login\?/, 'the sign-in that was begun goes on')
})

test('the keyboard alone is enough', async () => {
  const page = await demo.page()
  const { url } = demo.practice('acacia')
  const who = demo.account('acacia', 'clinician')
  await page.goto(url + '/')
  await page.waitForFunction(() => document.activeElement.id === 'email') // a busy browser gives the focus late
  await page.keyboard.type(who.email)
  await page.keyboard.press('Tab')
  await page.keyboard.type(who.password)
  await page.keyboard.press('Enter')
  await page.waitForURL('**/.gate/enrol/totp*')
  for (let i = 0; i < 20; i++) {
    await page.keyboard.press('Tab')
    if (await page.evaluate(() => document.activeElement.textContent.trim() === 'Not now')) break
  }
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle)
  assert.notEqual(outline, 'none', 'the focus cannot be seen')
  await page.keyboard.press('Enter')
  await page.waitForURL(url + '/')
})

test('pages fit a small phone and a desk at 200 % zoom', async () => {
  for (const options of [phone, { viewport: { width: 640, height: 480 }, deviceScaleFactor: 2 }]) {
    const page = await demo.page(options)
    const { url } = demo.practice('acacia')
    await page.goto(url + '/.gate/login')
    await noSidewaysScroll(page)
    await signIn(page, url, { ...demo.account('acacia', 'clinician'), totp_secret: '' })
    await page.waitForURL('**/.gate/enrol/totp*')
    await noSidewaysScroll(page)
    await page.goto(url + '/.gate/account')
    await noSidewaysScroll(page)
  }
})

test('after signing out the back button shows nothing and the session is dead', async () => {
  const page = await demo.page()
  const { url } = demo.practice('acacia')
  await signIn(page, url, { ...demo.account('acacia', 'clinician'), totp_secret: '' })
  await page.goto(url + '/.gate/account')
  const cookie = (await page.context().cookies()).find(c => c.name === '__Host-gate')
  await page.getByRole('button', { name: /^Sign out$/ }).first().click()
  await page.waitForURL('**/.gate/login*')
  assert.match(await page.locator('body').innerText(), /signed out/i)
  await page.goBack()
  await page.waitForURL('**/.gate/login*')
  await page.context().addCookies([cookie])
  await page.goto(url + '/')
  assert.match(page.url(), /\/\.gate\/login/, 'the old cookie still opens the practice')
})

test('another browser of the same person is listed and can be signed out', async () => {
  const { url } = demo.practice('acacia')
  const who = { ...demo.account('acacia', 'clinician'), totp_secret: '' }
  const one = await demo.page()
  const other = await demo.page()
  await signIn(one, url, who)
  await signIn(other, url, who)
  await other.goto(url + '/')
  await one.goto(url + '/.gate/account')
  await one.getByRole('button', { name: 'Sign out everywhere else' }).click()
  await one.waitForURL('**/.gate/account*')
  assert.match(await one.getByRole('status').innerText(), /everywhere else/)
  await other.goto(url + '/')
  assert.match(other.url(), /\/\.gate\/login/)
})
