// What a page of somebody else can make a signed-in browser do: nothing.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { signIn, start } from './demo.js'

let demo
before(async () => { demo = await start() })
after(() => demo?.stop())

// victim is a page signed in at acacia; foreign a page of the sibling practice harbour in the same browser.
async function victim () {
  const page = await demo.page()
  const { url } = demo.practice('acacia')
  await signIn(page, url, { ...demo.account('acacia', 'clinician'), totp_secret: '' })
  await page.goto(url + '/api/echo') // a page of the backend that forbids itself nothing
  const foreign = await page.context().newPage()
  await foreign.goto(demo.practice('harbour').url + '/.gate/health')
  return { page, foreign, url }
}

test('C8: a form of a sibling practice cannot sign a person out or write to the backend', async () => {
  const { page, foreign, url } = await victim()
  for (const path of ['/.gate/logout', '/prescriptions/17', '/.gate/account/sessions/end']) {
    const [answer] = await Promise.all([
      foreign.waitForResponse(r => r.request().method() === 'POST'),
      foreign.evaluate(target => {
        const form = Object.assign(document.createElement('form'), { method: 'post', action: target })
        document.body.append(form)
        form.submit()
      }, url + path)
    ])
    // SameSite leaves the cookie at home: the request is nobody's, or refused before that is even looked at.
    const nobody = answer.status() === 303 && answer.headers().location.startsWith('/.gate/login')
    assert.ok(answer.status() === 403 || nobody, `${path}: ${answer.status()}`)
    await foreign.waitForURL(url + '/**')
    await foreign.goto(demo.practice('harbour').url + '/.gate/health')
  }
  await page.goto(url + '/.gate/account')
  assert.match(page.url(), /\.gate\/account/, 'the session is gone')
})

test('Z1: a page of a sibling practice cannot open a WebSocket with the person\'s cookies', async () => {
  const { page, foreign, url } = await victim()
  const open = (from, target) => from.evaluate(ws => new Promise(resolve => {
    const socket = new WebSocket(ws)
    socket.onopen = () => resolve('open')
    socket.onerror = () => resolve('refused')
  }), target)
  const socket = url.replace('https', 'wss') + '/ws'
  assert.equal(await open(page, socket), 'open', 'the practice\'s own page')
  assert.equal(await open(foreign, socket), 'refused', 'a sibling\'s page')
})

test('C9: the pages cannot be framed', async () => {
  const { foreign, url } = await victim()
  const framed = await foreign.evaluate(src => new Promise(resolve => {
    const frame = document.createElement('iframe')
    frame.onload = () => { try { resolve(frame.contentDocument?.body?.innerText ?? 'blocked') } catch { resolve('blocked') } }
    frame.src = src
    document.body.append(frame)
    setTimeout(() => resolve('blocked'), 3000)
  }), url + '/.gate/login')
  assert.doesNotMatch(framed, /Password/)
})

test('C11: a script of the practice\'s own page gets 401 and no redirect once the session ended', async () => {
  const { page, url } = await victim()
  await page.evaluate(() => fetch('/.gate/logout', { method: 'POST' }))
  const [status, type, login] = await page.evaluate(async () => {
    const answer = await fetch('/api/echo')
    return [answer.status, answer.headers.get('content-type'), (await answer.json()).login_url]
  })
  assert.equal(status, 401)
  assert.equal(type, 'application/problem+json')
  assert.match(login, /^\/\.gate\/login/, url)
})

test('F4: a script of the practice\'s own page cannot set up a second factor', async () => {
  const { page } = await victim()
  const [status, key, level] = await page.evaluate(async () => {
    const answer = await fetch('/.gate/enrol/totp', { headers: { accept: 'text/html' } })
    return [answer.status, (await answer.text()).includes('secret'), (await (await fetch('/.gate/session')).json()).level]
  })
  assert.deepEqual([status, key, level], [403, false, 'aal1'])
  const inside = await page.evaluate(async () => {
    const other = window.open('/.gate/enrol/totp')
    await new Promise(resolve => setTimeout(resolve, 1000))
    try { return other.document.body.innerText } catch (error) { return error.name }
  })
  assert.equal(inside, 'SecurityError')
})
