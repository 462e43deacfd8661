// Debian's Chromium, headless.
import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'
import { describe } from 'vitest'

const executablePath = '/usr/bin/chromium'

/** A `describe` for tests that need a browser: skipped loudly where there is none, failing with `CI=true`. */
export function describeWithChromium(title: string, body: () => void): void {
  if (!existsSync(executablePath) && process.env.CI !== 'true') {
    console.warn(`SKIPPED: ${title}: there is no ${executablePath} (apt-get install chromium)`)
    describe.skip(title, body)
    return
  }
  describe(title, body)
}

/** Starts it with everything off that would look for hosts outside. */
export function startChromium(args: readonly string[] = []): Promise<Browser> {
  return chromium.launch({
    executablePath,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      ...args,
    ],
  })
}
