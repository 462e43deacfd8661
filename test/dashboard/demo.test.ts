// `npm run dashboard`, as a user sees it: the buttons are pressed, and the clients get different verdicts.

import { type ChildProcess, spawn } from 'node:child_process'
import { getDefaultHighWaterMark } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { Browser, Page } from 'playwright-core'
import { capabilities } from 'tcp-sse'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { describeWithChromium, startChromium } from '../support/chromium.js'
import { describeWithRig } from '../support/describe-with-rig.js'
import { waitFor } from '../support/wait-for.js'

/** Where a picture of the page goes, if one is wanted: how docs/dashboard.png is made. */
const PICTURE = process.env.TCP_SSE_PICTURE

describeWithChromium('the demo of the dashboard', () => {
  describeWithRig('with clients that can vanish', () => {
    let browser: Browser
    let demo: ChildProcess
    let url: string
    beforeAll(async () => {
      browser = await startChromium()
      ;({ demo, url } = await startDemo())
    })
    afterAll(async () => {
      demo.kill('SIGTERM')
      await browser.close()
    })

    it.runIf(capabilities().detectionGuaranteed)(
      'shows all five verdicts on one page, and why each was closed',
      async () => {
        const page = await browser.newPage({ viewport: { width: 1760, height: 760 } })
        await page.goto(url)
        await waitFor('eight rows', async () => (await rows(page).count()) === 8)
        for (const [client, action] of [
          [2, 'lose packets'],
          [3, 'read slowly'],
          [8, 'half-close'],
          [6, 'half-close'],
          [4, 'vanish'],
          [5, 'stall'],
        ] as const) {
          await page.getByRole('button', { name: `${action}: connection ${client}` }).click()
        }
        const startedAt = Date.now()
        await waitFor('the death of client 4', () => has(page, 'ended', 'client 4,', 'peer-dead'))
        expect(Date.now() - startedAt).toBeLessThan(8_000)
        expect(await has(page, 'ended', 'client 4,', 'dead')).toBe(true)
        // Node has noticed the one FIN by itself; the other was behind an upload that nobody reads, of which newer Nodes take
        // so much at once (64 KiB in place of 16) that they notice this one, too.
        const behind = getDefaultHighWaterMark(false) > 16_384 ? 'alive' : 'half-closed'
        await waitFor('the end of client 6', () =>
          has(page, 'ended', 'client 6,', 'alive', 'client-closed'),
        )
        await waitFor('the end of client 8', () =>
          has(page, 'ended', 'client 8,', behind, 'client-closed'),
        )
        // Each of them comes and goes with what the network does; a picture waits for the moment that has them all.
        const living = [
          ['client 1,', 'alive'],
          ['client 2,', 'congested'],
          ['client 3,', 'slow'],
          ['client 5,', 'slow'],
        ] as const
        const seen = new Set<string>()
        await waitFor(
          'the verdicts of the living',
          async () => {
            const now = await Promise.all(
              living.map(([client, verdict]) => has(page, 'live', client, verdict)),
            )
            for (const [index, [client]] of living.entries()) if (now[index]) seen.add(client)
            if (PICTURE === undefined) return seen.size === living.length
            if (!now.every(Boolean)) return false
            await page.screenshot({ path: PICTURE, fullPage: true })
            return true
          },
          20_000,
        )
        await waitFor(
          'the stall of client 5',
          () => has(page, 'ended', 'client 5,', 'slow', 'stalled'),
          30_000,
        )
        // The slow one took something all the time, and lives.
        expect(await has(page, 'live', 'client 3,', 'slow')).toBe(true)
        await page.close()
      },
      70_000,
    )

    it.runIf(capabilities().detectionGuaranteed)(
      'lets a client that resumes go on, and one that was closed come back',
      async () => {
        const page = await browser.newPage()
        await page.goto(url)
        await waitFor('client 7', () => has(page, 'live', 'client 7,', 'alive'))
        await page.getByRole('button', { name: 'stall: connection 7' }).click()
        await waitFor('its stall', () => has(page, 'live', 'client 7,', 'slow'), 15_000)
        await page.getByRole('button', { name: 'resume: connection 7' }).click()
        await waitFor('its return', () => has(page, 'live', 'client 7,', 'alive'), 15_000)
        await waitFor('a new client 4', () => has(page, 'live', 'client 4,'), 20_000)
        await page.close()
      },
      60_000,
    )
  })
})

const rows = (page: Page) => page.locator('#live tbody tr')

/** Whether a table has the row of a client with these words, each a cell of its own (a verdict has a sign before it). */
async function has(
  page: Page,
  table: 'live' | 'ended',
  client: string,
  ...words: string[]
): Promise<boolean> {
  const all = (await page.evaluate(
    `[...document.querySelectorAll('#${table} tbody tr')].map((tr) => [...tr.cells].map((td) => td.textContent))`,
  )) as string[][]
  return all.some(
    (cells) =>
      cells[1]?.startsWith(client) &&
      words.every((word) => cells.some((cell) => cell === word || cell.slice(2) === word)),
  )
}

async function startDemo(): Promise<{ demo: ChildProcess; url: string }> {
  const script = fileURLToPath(new URL('../../demo/dashboard/run.ts', import.meta.url))
  const demo = spawn(process.execPath, ['--import', 'tsx', script, '--port', '0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const url = await new Promise<string>((resolve, reject) => {
    let text = ''
    demo.on('exit', () => reject(new Error(`the demo ended: ${text}`)))
    demo.stdout?.on('data', (chunk) => {
      text += chunk
      const found = /Dashboard: (\S+)\n/.exec(text)?.[1]
      if (found !== undefined) resolve(found)
    })
  })
  return { demo, url }
}
