// Tries claims on the kernel that it runs on: `run.js [--full] [--select WORDS] [--living MINUTES] [--few]`.
// Each result is a line of JSON behind @@, so that it can be told from what else is printed.
import { parseArgs } from 'node:util'
import { nameOf } from '../support/shape.js'
import { type Claim, titleOf } from './claim.js'
import { runClaims } from './run-claims.js'
import { claimsOf, isForEmulation, livingClaims } from './table.js'

const { values } = parseArgs({
  options: {
    full: { type: 'boolean' },
    select: { type: 'string' },
    living: { type: 'string' },
    few: { type: 'boolean' },
  },
})

/** Connections: what an emulated machine serves without being late for it. */
const AT_ONCE = 300
/** Connections of a claim. */
const LEAST = 4

const say = (value: object): void => console.log(`@@ ${JSON.stringify(value)}`)

const { full, select, living, few } = values
const all = living === undefined ? claimsOf(full ? 'full' : 'short') : livingClaims(Number(living))
const meant = all.filter((claim) => {
  const text = `${claim.by} D ${claim.detectWithin / 1000} | ${titleOf(claim)} | ${nameOf(claim.shape)}`
  if (select !== undefined) return new RegExp(select).test(text)
  return !few || isForEmulation(claim)
})
// Enough to meet different alignments; an emulated machine is some ten times slower.
const fewer = (claim: Claim): Claim => ({
  ...claim,
  count: Math.max(LEAST, Math.ceil(claim.count / 3)),
})
await runClaims(few ? meant.map(fewer) : meant, {
  atOnce: AT_ONCE,
  hiccups: living === undefined ? undefined : 60_000,
  onResult: (result) => say({ result }),
  onHealth: (health) => say({ health }),
})
process.exit()
