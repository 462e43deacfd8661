// Where servers that we did not write can be tried.
import { existsSync } from 'node:fs'
import { describe } from 'vitest'
import { capabilities } from '../../src/index.js'
import { describeWithRig } from '../support/describe-with-rig.js'

/** A `describe` with a rig; skipped, loudly, without the addon: there is nothing to see then, and the command says so. */
export function describeOutside(title: string, body: () => void): void {
  const { addon, reason } = capabilities()
  if (!addon) console.warn(`SKIPPED: ${title}: ${reason}`)
  const run = addon ? describeWithRig : describe.skip
  run(title, body)
}

/** Why a server cannot be run here, or `undefined` where it can. */
export function missing(...programs: string[]): string | undefined {
  const absent = programs.filter((program) => !existsSync(program))
  return absent.length > 0 ? `not installed: ${absent.join(', ')}` : undefined
}
