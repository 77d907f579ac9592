// Starts `gateway demo` for a test file and opens browsers on it.
import { spawn } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { chromium } from 'playwright-core'

const binary = process.env.GATEWAY_BINARY ?? new URL('../../bin/gateway', import.meta.url).pathname
const browserPath = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find(existsSync)

const freePort = () => new Promise((resolve, reject) => {
  const server = createServer().once('error', reject)
  server.listen(0, '127.0.0.1', () => {
    const { port } = server.address()
    server.close(() => resolve(port))
  })
})

// start resolves when the demo serves. stop() ends it and the browser.
export async function start () {
  const state = mkdtempSync(join(tmpdir(), 'gateway-browser-'))
  const gateway = spawn(binary, ['demo', '--json', '--listen', `127.0.0.1:${await freePort()}`, '--state', state],
    { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = new Promise(resolve => gateway.once('exit', resolve))
  const line = await new Promise((resolve, reject) => {
    createInterface(gateway.stdout).once('line', resolve)
    ended.then(code => reject(new Error(`the demo ended with ${code}`)))
  })
  const demo = JSON.parse(line)
  const browser = await chromium.launch({
    executablePath: browserPath,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync']
  })
  const practice = id => demo.practices.find(p => p.id === id)
  return {
    browser,
    practice,
    account: (id, name) => practice(id).accounts.find(a => a.email.startsWith(`${name}@`)),
    // page opens a window of its own, with the demo's certificates accepted.
    page: async (options = {}) => {
      const context = await browser.newContext({ ignoreHTTPSErrors: true, ...options })
      return context.newPage()
    },
    stop: async () => {
      await browser.close()
      gateway.kill('SIGTERM')
      await ended
      rmSync(state, { recursive: true, force: true })
    }
  }
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

function base32 (text) {
  const bits = [...text].map(c => alphabet.indexOf(c).toString(2).padStart(5, '0')).join('')
  return Buffer.from(bits.match(/.{8}/g).map(b => parseInt(b, 2)))
}

const used = new Map()

// code is the code of an authenticator app (RFC 6238), of a step that was not used before: each works once.
export async function code (secret) {
  for (;;) {
    const now = Math.floor(Date.now() / 30000)
    const step = Math.max(now, (used.get(secret) ?? 0) + 1)
    if (step <= now + 1) {
      used.set(secret, step)
      return at(secret, step)
    }
    await new Promise(resolve => setTimeout(resolve, 200))
  }
}

function at (secret, step) {
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(step))
  const mac = createHmac('sha1', base32(secret)).update(counter).digest()
  const value = mac.readUInt32BE(mac[19] & 15) & 0x7fffffff
  return String(value % 1e6).padStart(6, '0')
}

// signIn goes through the pages as a person does.
export async function signIn (page, url, account, path = '/') {
  await page.goto(url + path)
  await page.getByLabel('Email').fill(account.email)
  await page.getByLabel('Password').fill(account.password)
  await page.getByRole('button', { name: 'Sign in' }).click()
  if (account.totp_secret) {
    await page.getByLabel(/6-digit code/).fill(await code(account.totp_secret))
    await page.getByRole('button', { name: /Continue|Sign in|Confirm/ }).click()
  }
}
