// The promise on paths that real clients have, on this machine's kernel: delay, loss, reordering, narrow links, windows that
// are shut, tolerated outages, halted servers. The same claims are tried on other kernels: npm run test:kernels.
import { beforeAll, expect, it } from 'vitest'
import { capabilities } from '../../src/index.js'
import { titleOf } from '../claims/claim.js'
import { lineOf, type Result } from '../claims/result.js'
import { type Health, runClaims } from '../claims/run-claims.js'
import { claimsOf } from '../claims/table.js'
import { describeWithRig } from '../support/describe-with-rig.js'
import { nameOf } from '../support/shape.js'

/** The claims wait at the same time: all of them take as long as the longest. */
const ALL_WITHIN = 400_000
const CONNECTIONS = 600

describeWithRig('the promise on all paths', () => {
  const claims = claimsOf('short')
  let results: Result[] = []
  const health: Health[] = []

  beforeAll(async () => {
    if (!capabilities().detectionGuaranteed) return
    results = await runClaims(claims, {
      atOnce: CONNECTIONS,
      onResult: (result) => console.log(lineOf(result)),
      onHealth: (each) => health.push(each),
    })
  }, ALL_WITHIN)

  for (const [index, claim] of claims.entries()) {
    const who = { stream: 'a stream', guard: 'under a guard', port: 'under a guard of its port' }[
      claim.by
    ]
    const title = `holds for ${who}: ${titleOf(claim)}, ${nameOf(claim.shape)}`
    it.runIf(capabilities().detectionGuaranteed)(title, () => {
      const result = results[index] as Result
      expect(result, lineOf(result)).toMatchObject({ late: 0, falseKills: 0, overReports: 0 })
      expect(result.failed).toBeUndefined()
    })
  }

  it.runIf(capabilities().detectionGuaranteed)('leaves the servers without an exception', () => {
    expect(health.flatMap(({ problems }) => problems)).toEqual([])
    expect(health.length).toBeGreaterThan(0)
  })
})
