// Runs the browser tests of WPT's `eventsource/`, as they are, in Chromium: `npm run interop:wpt -- CHECKOUT`.
//
// CHECKOUT is a folder with WPT's `eventsource`, `resources` and `common`.
import type { Browser } from 'playwright-core'
// @ts-expect-error: a script without types
import { here, writeScore } from '../../../scripts/interop-report.mjs'
import { startChromium } from '../../support/chromium.js'
import { testPages } from './pages.js'
import { HOST, wptServer } from './server.js'

interface Result {
  status: number
  message: string | null
  tests: { name: string; status: number; message: string | null }[]
  /** What the browser complained of meanwhile. */
  complaints: string[]
}

/** In testharness.js's order. */
const STATUS = ['pass', 'FAIL', 'TIMEOUT', 'NOTRUN', 'PRECONDITION_FAILED']

const checkout = process.argv[2]
if (checkout === undefined) {
  console.error('usage: npm run interop:wpt -- CHECKOUT')
  process.exit(2)
}

const server = await wptServer(checkout)
const browser = await startChromium([
  `--host-resolver-rules=MAP *.test 127.0.0.1`,
  '--ignore-certificate-errors',
])

async function runPage(browser: Browser, path: string): Promise<Result> {
  const secure = path.includes('.serviceworker.')
  const origin = secure ? `https://${HOST}:${server.https}` : `http://${HOST}:${server.http}`
  const context = await browser.newContext({ ignoreHTTPSErrors: true })
  const complaints: string[] = []
  try {
    const page = await context.newPage()
    page.on('console', (line) => {
      if (line.type() === 'error') complaints.push(line.text())
    })
    await page.goto(origin + path, { waitUntil: 'commit' })
    const result = await page.waitForFunction('globalThis.wptResult', undefined, {
      timeout: 30_000,
    })
    return { ...((await result.jsonValue()) as Result), complaints }
  } catch (error) {
    return { status: 1, message: (error as Error).message, tests: [], complaints }
  } finally {
    await context.close()
  }
}

const pages = testPages(checkout)
const failures: string[] = []
let passed = 0
let cleanPages = 0
for (const path of pages) {
  const { status, message, tests, complaints } = await runPage(browser, path)
  const bad = tests.filter((test) => test.status !== 0)
  passed += tests.length - bad.length
  for (const test of bad) {
    const why = complaints.length === 0 ? '' : ` Chromium: ${complaints.join(' ')}`
    failures.push(`${path} | ${test.name} | ${STATUS[test.status]}: ${test.message}${why}`)
  }
  if (status !== 0) failures.push(`${path} | the page | ${message}`)
  if (status === 0 && bad.length === 0) cleanPages++
  console.log(`${status === 0 && bad.length === 0 ? 'ok  ' : 'FAIL'} ${path} (${tests.length})`)
}
const version = browser.version()
await browser.close()
server.close()

const score = `${cleanPages} of ${pages.length} pages pass, with ${passed} tests.`
for (const failure of failures) console.log(failure)
console.log(score)
writeScore('wpt', [
  score,
  '',
  ...(failures.length === 0 ? [] : ['| page | test | result |', '|---|---|---|']),
  ...failures.map((failure) => `| ${failure.replaceAll('\n', ' ')} |`),
  ...(failures.length === 0 ? [] : ['']),
  `Chromium ${version}, Node ${process.versions.node}, ${here()}.`,
])
process.exit(failures.length === 0 ? 0 : 1)
